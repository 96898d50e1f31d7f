"""Runs an OCI registry on the loopback interface that takes what a daemon pushes, once.

A daemon asks for each blob with HEAD, and uploads what the registry does not have: POST begins an upload,
PATCH sends its parts in their order (100 MB or more, each to the ``Location`` of the response before, a part
that failed again from its start), and PUT ends it with the digest (``server/upload.go`` of Ollama). This
registry claims to have every blob that nobody asked for, so it is sent the wanted ones only. It takes no more
bytes than those have, and keeps no other blob.
"""

import contextlib
import hashlib
import io
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ollama_pack.disk.files import DRAFT, Progress
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.api_errors import did_not_come
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.loopback_registry import Handler, Server, listening

UPLOADS = "blobs/uploads/"
LARGEST_MANIFEST = 1 << 20
"""Largest size in bytes of a manifest, parameters or configuration; real ones have a few thousand."""

_PIECE = 1 << 20
_CONTENT_RANGE = re.compile(r"([0-9]{1,18})-[0-9]{1,18}")


@dataclass
class PushedModel:
    """The parts of a model that a daemon has pushed.

    Attributes:
        wanted: the digests of the blobs that the registry asks for, each with the most bytes it may have.
        folder: the directory for the wanted blobs, each under the name that a store gives it; None to keep
            them in memory.
        manifests: the bytes of the manifests, by the tag or the digest under which the daemon sent them.
        blobs: the wanted blobs that have arrived, by digest; without their bytes if there is a folder.
        uploads: the uploads that have begun and not ended.
        asked: whether the daemon sent any request.
        failure: the error that keeps this process from taking a blob, such as a full disk.
    """

    wanted: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: "dict[str, _PushedBlob]" = field(default_factory=dict)
    asked: bool = False
    failure: OSError | None = None

    @property
    def received(self) -> int:
        """Return the number of bytes that have arrived of the wanted blobs."""
        uploads = list(self.uploads.values())  # the threads of the server begin and end them
        done = sum(self.wanted.get(digest, 0) for digest in list(self.blobs))
        return done + sum(each.seen for each in uploads)

    @property
    def room(self) -> int:
        """Return how many more bytes the registry takes."""
        return sum(self.wanted.values()) - self.received

    def begin(self) -> str:
        """Begin an upload, and return its path below the model."""
        number = secrets.token_hex(8)
        draft = self.folder / f"{DRAFT}{number}" if self.folder else None
        self.uploads[f"{UPLOADS}{number}"] = _PushedBlob(draft)
        return f"{UPLOADS}{number}"

    def end(self, path: str) -> None:
        """End an upload, and keep it if its digest was asked for."""
        upload = self.uploads.pop(path)
        digest = f"sha256:{upload.sha.hexdigest()}"
        if upload.size <= self.wanted.get(digest, -1):
            self.blobs[digest] = upload.keep(digest)
        else:
            upload.drop()

    def close(self) -> None:
        """Take nothing more, and drop every upload that has not ended."""
        self.wanted = {}
        for path in list(self.uploads):
            self.uploads.pop(path).drop()


class _PushedBlob:
    """A blob that is being sent: its bytes so far, in a file or in memory, and their digest.

    Args:
        draft: the path of the file, or None for memory.

    Attributes:
        size: the number of bytes of the parts that are complete.
        seen: the same with the part that is being sent.
        sha: the digest of the parts that are complete.
    """

    def __init__(self, draft: Path | None) -> None:
        self._draft = draft
        self._file: BinaryIO = io.BytesIO() if draft is None else draft.open("xb")
        self.size = self.seen = 0
        self.sha = hashlib.sha256()

    def take(self, length: int, read: Callable[[int], bytes]) -> bool:
        """Take one part; return False if it breaks off, after which it may be sent again."""
        sha, self.seen = self.sha.copy(), self.size
        self._file.seek(self.size)
        while self.seen < self.size + length:
            piece = read(min(_PIECE, self.size + length - self.seen))
            if not piece:
                self.seen = self.size
                return False
            sha.update(piece)
            self._file.write(piece)
            self.seen += len(piece)
        self.sha, self.size = sha, self.seen
        return True

    def keep(self, digest: str) -> bytes:
        """Give the blob its name, or return its bytes if they are in memory."""
        if self._draft is None:
            assert isinstance(self._file, io.BytesIO)
            return self._file.getvalue()[: self.size]
        self._file.truncate(self.size)
        self._file.close()
        self._draft.replace(self._draft.with_name(digest.replace(":", "-")))
        return b""

    def drop(self) -> None:
        """Forget the blob."""
        self._file.close()
        if self._draft is not None:
            self._draft.unlink(missing_ok=True)


def push_into(
    daemon: Daemon, server: Server, pushed: PushedModel, progress: Progress | None = None
) -> PushedModel:
    """Have a daemon push its model, and return what it sent.

    Args:
        daemon: the daemon; it has the model under the name of the registry.
        server: the registry.
        pushed: what the registry asks for.
        progress: called with the name of the model, and the number of bytes that have arrived and are wanted.

    Raises:
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon does not push the model.
        OSError: a blob cannot be written.
    """
    server.registry, total = pushed, sum(pushed.wanted.values())

    def watch(_label: str, _done: int, _total: int) -> None:
        if pushed.failure is not None:  # A daemon would try again for a minute.
            raise pushed.failure
        if progress is not None:
            progress(server.name.display, pushed.received, total)

    try:
        daemon.push(server.name.display, watch)
    except DestinationError as error:
        if pushed.failure is not None:
            raise pushed.failure from error
        if pushed.asked:
            raise
        raise did_not_come(daemon.address) from error
    finally:
        pushed.close()
    return pushed


@contextlib.contextmanager
def awaiting_push(daemon: Daemon, tag: str) -> Iterator[Server]:
    """Run a registry while the block runs, under whose name a daemon has a copy of one of its models.

    Raises:
        DestinationError: the daemon has no such model, or does not answer.
    """
    with listening(_PushHandler) as server:
        name = server.name.display
        try:
            daemon.copy(tag, name)  # A full disk makes it fail, and leaves an empty manifest.
            yield server
        finally:
            with contextlib.suppress(DestinationError):
                erase_model(daemon, name)


class _PushHandler(Handler):
    """Takes the wanted blobs and the manifests, and claims to have all other blobs, so that none is sent."""

    def do_HEAD(self) -> None:
        pushed: PushedModel = self.server.registry
        pushed.asked = True
        kind, _, digest = self.below.partition("/")
        missing = digest in pushed.wanted and digest not in pushed.blobs
        self.answer(200 if kind == "blobs" and not missing else 404)

    def do_POST(self) -> None:
        pushed: PushedModel = self.server.registry
        if self.below.partition("?")[0] != UPLOADS:
            return self.answer(404)
        if self._length or len(pushed.uploads) >= len(pushed.wanted):
            return self._refuse(400)
        with self._told_failure(pushed):
            return self._continue_at(pushed.begin())

    def do_PATCH(self) -> None:
        pushed: PushedModel = self.server.registry
        path = self.below.partition("?")[0]
        if path not in pushed.uploads:
            return self._refuse(404)
        with self._told_failure(pushed):
            if self._took_part(pushed, path):
                self._continue_at(path)
        return None

    def do_PUT(self) -> None:
        pushed: PushedModel = self.server.registry
        path = self.below.partition("?")[0]
        if path.startswith("manifests/"):
            if self._length > LARGEST_MANIFEST:
                return self._refuse(413)
            pushed.manifests[path.partition("/")[2]] = self.rfile.read(self._length)
            return self.answer(201)
        if path not in pushed.uploads:
            return self._refuse(404)
        with self._told_failure(pushed):
            if self._took_part(pushed, path):
                pushed.end(path)
                self.answer(201)  # also for a damaged blob, which the daemon would send again for a minute
        return None

    def _took_part(self, pushed: PushedModel, path: str) -> bool:
        """Take the content of a request as the next part of an upload; answer it if that is not possible."""
        upload = pushed.uploads[path]
        span = _CONTENT_RANGE.fullmatch(self.headers.get("Content-Range", ""))
        if span and int(span[1]) != upload.size:
            self._refuse(416)
        elif self._length > pushed.room + upload.seen - upload.size:
            self._refuse(413)
        elif upload.take(self._length, self.rfile.read):
            return True
        else:
            self.close_connection = True
        return False

    @contextlib.contextmanager
    def _told_failure(self, pushed: PushedModel) -> Iterator[None]:
        """Keep an error of the disk for `push_into`, and refuse the request."""
        try:
            yield
        except ConnectionError:
            self.close_connection = True
        except OSError as error:
            pushed.failure = error
            self._refuse(507)

    @property
    def _length(self) -> int:
        """Return the number of bytes of the request's content."""
        text = self.headers.get("Content-Length") or "0"
        return int(text) if text.isascii() and text.isdigit() else 0

    def _continue_at(self, upload: str) -> None:
        """Tell the daemon where to send the next part of an upload."""
        name = self.server.name
        self.answer(202, {"Location": f"http://{name.host}/v2/{name.namespace}/{name.model}/{upload}"})

    def _refuse(self, status: int) -> None:
        """Refuse a request whose content stays unread, so that nothing can follow it."""
        self.close_connection = True
        self.answer(status)
