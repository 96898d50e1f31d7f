"""Sends blobs to a registry: mounted where it has them, else in chunks, going on after an interruption.

oras-py sends a file in one go or in chunks, but it can neither ask how far an earlier upload came nor have a
blob mounted. See "An upload goes on where it ended" in docs/decisions.md.
"""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

from ollama_pack.disk.files import os_errors_as_destination_error
from ollama_pack.disk.locks import lock_of
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.manifest import Layer
from ollama_pack.registry.remote import RemoteRegistry
from ollama_pack.registry.unfinished import forget_upload, keep_upload, kept_upload

BLOB_CHUNK = 16 << 20
"""The size of a chunk in bytes; a larger blob is sent in several requests."""

_BYTES = {"Content-Type": "application/octet-stream"}
_ARRIVED = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_LARGEST_CHUNK = 1 << 30


@dataclass(slots=True)
class _Upload:
    """An upload under way: the address for the next bytes, how many arrived, and how many go at once."""

    address: str
    done: int = 0
    chunk: int = 0


def send_blob(remote: RemoteRegistry, layer: Layer, label: str, sources: Sequence[str] = ()) -> int:
    """Send a blob unless the repository has it, and return the number of bytes sent.

    Args:
        remote: the repository.
        layer: the blob, with its content or its file.
        label: the name of the blob in the progress and in errors.
        sources: other repositories of the registry; if one of them has the blob, it is mounted from there.

    Raises:
        DestinationError: the registry refuses it, or the file changed meanwhile.
    """
    blob = remote.url("blobs", layer.digest)
    with remote.reported(), lock_of(f"upload {blob}", f"sends {label}", remote.progress):
        if _has_blob(remote, layer, label):
            forget_upload(blob)
            return 0
        upload = _resumed(remote, blob)
        if upload is not None and upload.done <= layer.size:
            sent = _send_rest(remote, layer, upload, label)
            if sent is not None:
                return sent
        forget_upload(blob)
        upload = _begun(remote, layer, label, sources)
        return 0 if upload is None else _send_rest(remote, layer, upload, label, is_new=True) or 0


def blob_state(
    remote: RemoteRegistry, layer: Layer, label: str, sources: Sequence[str] = ()
) -> tuple[str, int, str]:
    """Return what `send_blob` would do with a blob: its state, the bytes to send, and the source of a mount.

    Nothing is sent. A registry may decide not to mount a blob; here it is assumed to mount one that a source
    has and lets this user read.

    Args:
        remote: the repository.
        layer: the blob.
        label: the name of the blob in errors.
        sources: other repositories of the registry that may have the blob.

    Raises:
        DestinationError: the registry does not answer, or refuses.
    """
    with remote.reported():
        if _has_blob(remote, layer, label):
            return "present", 0, ""
        upload = _resumed(remote, remote.url("blobs", layer.digest))
        if upload is not None and upload.done <= layer.size:
            return "upload", layer.size - upload.done, ""
        for source in sources:
            if remote.request(remote.url("blobs", layer.digest, source), "HEAD").status_code == 200:
                return "mount", 0, source
    return "upload", layer.size, ""


def _has_blob(remote: RemoteRegistry, layer: Layer, label: str) -> bool:
    """Return whether the repository has a blob."""
    answer = remote.request(remote.url("blobs", layer.digest), "HEAD")
    remote.require(answer, f"does not say whether it has {label}", 200, 404)
    return bool(answer.status_code == 200)


def _begun(remote: RemoteRegistry, layer: Layer, label: str, sources: Sequence[str]) -> _Upload | None:
    """Begin an upload; return None if the registry mounted the blob from another repository instead."""
    answer = None
    for source in sources or ("",):
        if answer is not None:  # the last answer began an upload that is not used
            _cancel(remote, answer)
        query = f"?{urlencode({'mount': layer.digest, 'from': source})}" if source else ""
        answer = remote.request(f"{remote.url('blobs', 'uploads')}/{query}", "POST")
        remote.require(answer, f"does not take {label}", 201, 202)
        if answer.status_code == 201:
            return None
    least = str(answer.headers.get("OCI-Chunk-Min-Length", "")) if answer is not None else ""
    chunk = max(BLOB_CHUNK, min(int(least), _LARGEST_CHUNK) if least.isdecimal() else 0)
    return _Upload(_next_address(remote, answer), 0, chunk)


def _cancel(remote: RemoteRegistry, answer: Any) -> None:  # noqa: ANN401 — requests is not typed here
    """Cancel an upload that was begun; in a registry that does not support this, the upload expires."""
    remote.request(_next_address(remote, answer), "DELETE")


def _resumed(remote: RemoteRegistry, blob: str) -> _Upload | None:
    """Return an earlier run's upload, with the bytes that the registry has, or None if there is none."""
    address = kept_upload(blob)
    if not address:
        return None
    answer = remote.request(address)
    arrived = _ARRIVED.fullmatch(answer.headers.get("Range", ""))
    if answer.status_code not in (202, 204) or arrived is None:
        return None
    last = int(arrived[1])
    following = _next_address(remote, answer) if answer.headers.get("Location") else address
    return _Upload(following, last + 1 if last else 0, BLOB_CHUNK)  # 0-0 says that nothing arrived


def _send_rest(
    remote: RemoteRegistry, layer: Layer, upload: _Upload, label: str, *, is_new: bool = False
) -> int | None:
    """Send what is missing of a blob, and end its upload; return the number of bytes sent.

    If the registry no longer accepts an upload of an earlier run, return None; the caller begins a new one.
    """
    blob, first, last = remote.url("blobs", layer.digest), upload.done, b""
    if is_new and layer.size <= upload.chunk:
        last = _piece_of(layer, 0, layer.size)
    if not last:
        keep_upload(blob, upload.address)
    while not last and upload.done < layer.size:
        piece = _piece_of(layer, upload.done, upload.chunk)
        end = upload.done + len(piece)
        headers = {**_BYTES, "Content-Range": f"{upload.done}-{end - 1}"}
        answer = remote.request(upload.address, "PATCH", data=piece, headers=headers)
        if not is_new and answer.status_code in (400, 404, 416):
            return None
        remote.require(answer, f"does not take {label}", 201, 202, 204)
        upload.address, upload.done = _next_address(remote, answer), end
        keep_upload(blob, upload.address)
        if remote.progress is not None:
            remote.progress(f"sending {label}", end, layer.size)
    mark = "&" if "?" in upload.address else "?"
    address = f"{upload.address}{mark}{urlencode({'digest': layer.digest})}"
    answer = remote.request(address, "PUT", data=last, headers=_BYTES)
    forget_upload(blob)
    if not is_new and answer.status_code in (400, 404, 416):
        return None
    remote.require(answer, f"does not take {label}", 200, 201, 204)
    if last and remote.progress is not None:
        remote.progress(f"sending {label}", layer.size, layer.size)
    return layer.size - first


def _next_address(remote: RemoteRegistry, answer: Any) -> str:  # noqa: ANN401 — requests is not typed here
    """Return the address that an answer names for the next bytes of an upload."""
    location = answer.headers.get("Location", "")
    if not location:
        raise DestinationError(
            "The registry does not say where to send the next bytes.", where=remote.place, code="registry"
        )
    return str(urljoin(f"{remote.address}/", location))


def _piece_of(layer: Layer, start: int, count: int) -> bytes:
    """Return `count` bytes of a blob, or those up to its end.

    Raises:
        DestinationError: the file cannot be read, or has become shorter.
    """
    count = min(count, layer.size - start)
    if layer.content is not None:
        return layer.content[start : start + count]
    assert layer.file is not None, "a blob that is sent has content or a file"
    with contextlib.ExitStack() as stack:
        stack.enter_context(os_errors_as_destination_error(layer.file))
        source = stack.enter_context(layer.file.open("rb"))
        source.seek(start)
        piece = source.read(count)
    if len(piece) < count:
        raise DestinationError("The file became shorter while it was sent.", where=layer.file)
    return piece
