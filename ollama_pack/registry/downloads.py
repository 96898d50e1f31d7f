"""Fetches blobs of a registry, resumes what was interrupted, and checks the digest of every blob."""

import hashlib
import os
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import CHUNK_BYTES, os_errors_as_destination_error, regular_file
from ollama_pack.disk.known_digests import known_digest, remember_digest
from ollama_pack.registry.artifact import ArtifactFile
from ollama_pack.registry.remote import RemoteRegistry

_READ_BYTES = 1 << 20


def fetch_blob(remote: RemoteRegistry, file: ArtifactFile, part: Path) -> None:
    """Fetch a file into `part`, going on with what an earlier run left there.

    No more is read than the size of the file. If the bytes have another digest, they are removed. If some of
    them are from an earlier run, the whole file is fetched once more before the error is raised.

    Args:
        remote: the repository.
        file: the file.
        part: the path that the bytes are written to.

    Raises:
        DestinationError: the registry does not send the file, or the disk is full; what arrived stays in
            `part`.
        ProofError: the bytes have another digest.
    """
    with os_errors_as_destination_error(part):
        while True:
            kept = part.stat().st_size if part.exists() else 0
            if kept and _is_known(part, file.digest):
                return
            if _fetch_rest(remote, file, part):
                with regular_file(part) as source:
                    remember_digest(source, file.digest)
                return
            part.unlink(missing_ok=True)
            if not kept:
                raise remote.lie(file.name)


def _fetch_rest(remote: RemoteRegistry, file: ArtifactFile, part: Path) -> bool:
    """Fetch what is missing of a file, and return whether its digest is right then."""
    sha, done = _sum_of(part)
    if done > file.size:
        return False
    if done < file.size or not part.exists():
        with remote.reported():
            headers = {"Range": f"bytes={done}-"} if done else {}
            answer = remote.request(remote.url("blobs", file.digest), headers=headers, stream=True)
            if done and answer.status_code == 416:
                return False
            remote.require(answer, f"does not send {file.name}", 200, 206)
            if not _goes_on(answer, done):
                sha, done = hashlib.sha256(), 0
            with part.open("r+b" if done else "wb") as target:
                target.seek(done)
                for chunk in answer.iter_content(_READ_BYTES):
                    done += len(chunk)
                    if done > file.size:
                        break
                    sha.update(chunk)
                    target.write(chunk)
                    target.flush()  # what has arrived outlasts this process, should it be killed
                    if remote.progress is not None:
                        remote.progress(f"fetching {file.name}", done, file.size)
                os.fsync(target.fileno())
    return done == file.size and f"sha256:{sha.hexdigest()}" == file.digest


def _is_known(part: Path, digest: str) -> bool:
    """Return whether the digest of a file was computed before by this process, and is `digest`."""
    with regular_file(part) as source:
        return known_digest(source) == digest


def _goes_on(answer: Any, done: int) -> bool:  # noqa: ANN401 — requests is not typed here
    """Return whether an answer has the bytes from `done` on, and not those from the beginning."""
    said = str(answer.headers.get("Content-Range", ""))
    return bool(answer.status_code == 206 and said.startswith(f"bytes {done}-"))


def _sum_of(part: Path) -> tuple[Any, int]:
    """Return the SHA-256 so far of what an earlier run left, and the number of its bytes."""
    sha, done = hashlib.sha256(), 0
    if part.exists():
        with regular_file(part) as source:
            while chunk := source.read(CHUNK_BYTES):
                sha.update(chunk)
                done += len(chunk)
    return sha, done
