"""Bounds what a peer may cost: the time of a whole exchange by HTTP, and the bytes of its answer.

The timeouts of httpx are for each read, so a peer that sends a byte now and then holds a client for ever. A
compressed answer of some kilobytes may hold gigabytes. So uncompressed answers are asked for, their bytes
are counted as they come, and the connection is cut when its time is over. Every client of this package has
these bounds.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ollama_pack.errors import DestinationError

if TYPE_CHECKING:
    import httpx

ANSWER_BYTES = 64 << 20
"""Most bytes of an answer. What a daemon shows of a model with all its tokens has 20 million."""

LINE_BYTES = 1 << 20
"""Most bytes of a line in a stream of status lines."""

STREAM_BYTES = 1 << 30
"""Most bytes of a stream of status lines. A daemon that pulls for a whole day sends 200 million."""

_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")


class ExchangeBounds:
    """The bounds of the exchanges of one client, one exchange at a time.

    Example:
        >>> import httpx
        >>> bounds = ExchangeBounds()
        >>> with httpx.Client(event_hooks=bounds.hooks()) as client:  # doctest: +SKIP
        ...     with bounds.within(60.0, "http://127.0.0.1:11434"):
        ...         client.get("http://127.0.0.1:11434/api/tags")
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._late = False
        self._lines = False
        self._where = ""

    def hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """Return the hooks of a client, which see each request before it is sent, and each answer."""
        return {"request": [self._before], "response": [self._after]}

    @contextlib.contextmanager
    def within(self, seconds: float, where: str, *, lines: bool = False) -> Iterator[None]:
        """Bound what happens in the block: it is one exchange.

        Args:
            seconds: the time after which the connection is cut.
            where: the address of the peer, for messages.
            lines: whether the answer is a stream of status lines, each of which is bounded.

        Raises:
            DestinationError: the peer took too long, its answer is too large, or it is compressed.
        """
        self._late, self._lines, self._where = False, lines, where
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if self._late:  # An answer without a length ends as if it were whole.
                raise DestinationError(
                    f"The answer was not complete after {seconds:g} seconds.", where=where, code="too-slow"
                )

    def _before(self, request: "httpx.Request") -> None:
        """Ask for an answer that is not compressed, and learn of the connection."""
        request.headers["Accept-Encoding"] = "identity"
        request.extensions["trace"] = self._watch

    def _after(self, answer: "httpx.Response") -> None:
        """Refuse a compressed answer, and count the bytes of any other."""
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", ""):
            raise DestinationError(
                f"The answer is compressed ({encoding:.20}), though an uncompressed one was asked for.",
                where=self._where,
                code="compressed",
            )
        answer.stream = _counted_stream(answer.stream, self._where, lines=self._lines)

    def _watch(self, event: str, details: Mapping[str, Any]) -> None:
        """Keep the socket of a new connection."""
        if event.endswith(_CONNECTED):
            found = details["return_value"].get_extra_info("socket")
            self._sockets = [each for each in self._sockets if each.fileno() >= 0]
            self._sockets.append(found)
            if self._late:
                self._cut()

    def _cut(self) -> None:
        """End every connection, so that whoever reads from one or writes to it goes on."""
        self._late = True
        for each in self._sockets:
            with contextlib.suppress(OSError):
                # shutdown() of a TLS socket would end TLS first, while another thread still reads from it.
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def _counted_stream(stream: Any, where: str, *, lines: bool) -> Any:  # noqa: ANN401 — httpx is imported inside
    """Return a stream of bytes that raises an error when it, or a line in it, is too long."""
    import httpx

    class CountedStream(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            count = line = 0
            most = STREAM_BYTES if lines else ANSWER_BYTES
            for piece in stream:
                count += len(piece)
                line = len(piece) - piece.rfind(b"\n") - 1 if b"\n" in piece else line + len(piece)
                if count > most or (lines and line > LINE_BYTES):
                    raise DestinationError(
                        f"The answer has more than {LINE_BYTES if count <= most else most} bytes"
                        f"{' in one line' if count <= most else ''}.",
                        where=where,
                        code="answer-too-large",
                    )
                yield piece

        def close(self) -> None:
            stream.close()

    return CountedStream()
