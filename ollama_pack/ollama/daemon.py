"""A running Ollama daemon, spoken to through the official ``ollama`` client.

The only file that touches ``ollama``, which is imported with ``httpx`` when a daemon is first spoken to. What
the client (0.6) does not offer goes to the same address with plain ``httpx``: asking for a blob, sending one
with progress, the version, a model's ``renderer``, ``parser`` and ``requires``, and what it is shown to
consist of.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ollama_pack.errors import DestinationError, InputError
from ollama_pack.files import Progress
from ollama_pack.ollama.address import is_near
from ollama_pack.ollama.api_errors import daemon_error, error_message
from ollama_pack.ollama.api_types import NEVER, Listed, Shown, read_shown

UPLOAD_CHUNK = 1 << 20
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 900.0  # between two lines of a stream: checking a large GGUF is silent for minutes
_CLIENT_FIELDS = frozenset(
    ("from", "files", "adapters", "template", "license", "system", "parameters", "messages")
)


class Daemon:
    """An Ollama daemon at one address.

    Args:
        address: ``http://127.0.0.1:11434``, as `parse_host` returns it.

    Raises:
        InputError: it is none, or its host is no name that can be looked up.
    """

    def __init__(self, address: str) -> None:
        import httpx
        import ollama

        self.address = address
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        far = not is_near(address)
        # No proxy reaches this machine's loopback, and to read the certificates for it takes 40 ms.
        options: dict[str, Any] = {"timeout": timeout, "trust_env": far, "verify": far}
        try:
            self._http: httpx.Client = httpx.Client(base_url=address, **options)
            self._client: ollama.Client = ollama.Client(host=address, **options)
        except (httpx.InvalidURL, ValueError) as error:
            raise InputError(
                f"OLLAMA_HOST is no address: {error}.", where=address, hint="OLLAMA_HOST=HOST:PORT"
            ) from error

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()
        close: Callable[[], object] = getattr(
            self._client, "close", lambda: None
        )  # the first clients had none
        close()

    def version(self) -> str:
        """Return the daemon's version; one built from source says ``0.0.0``.

        Raises:
            DestinationError: no daemon answers.
        """
        with self._explained():
            answer = self._http.get("/api/version", timeout=CONNECT_SECONDS)
            if answer.is_error:
                raise ValueError(answer.status_code)
            return str(answer.json()["version"])

    def why_absent(self) -> str:
        """Return why nothing goes through this daemon, empty where it answers as one."""
        try:
            self.version()
        except DestinationError as error:
            return error.clause
        return ""

    def models(self) -> list[Listed]:
        """Return the models it has.

        Raises:
            DestinationError: the daemon said no.
        """
        with self._explained():
            return [
                Listed(model.model or "", model.digest or "", model.modified_at or NEVER)
                for model in self._client.list().models
            ]

    def show(self, name: str, *, verbose: bool = False) -> Shown | None:
        """Return what the daemon knows of a model, None if there is no such model.

        With `verbose` its metadata has the long lists too, tokens among them: megabytes.

        Raises:
            DestinationError: the daemon said no.
        """
        with self._explained():
            answer = self._http.post("/api/show", json={"model": name, "verbose": verbose})
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
            return read_shown(answer.json())

    def has_blob(self, digest: str) -> bool:
        """Return whether a blob is in its store.

        Raises:
            DestinationError: the daemon said no.
        """
        with self._explained():
            answer = self._http.head(f"/api/blobs/{digest}")
            if answer.status_code == 404:
                return False
            answer.raise_for_status()
            return True

    def upload(self, path: Path, digest: str, progress: Progress | None = None) -> int:
        """Send a blob, unless it is there; return the bytes sent.

        Raises:
            DestinationError: the daemon said no, or the file is not what `digest` promises.
        """
        if self.has_blob(digest):
            return 0
        with self._explained():
            size = path.stat().st_size
            body = _file_pieces(path, size, progress)
            answer = self._http.post(
                f"/api/blobs/{digest}", content=body, headers={"Content-Length": str(size)}
            )
            answer.raise_for_status()
        return size

    def create(self, name: str, fields: Mapping[str, Any], progress: Progress | None = None) -> None:
        """Have a model made, and wait until the daemon says it is.

        Args:
            name: of the model.
            fields: of ``/api/create``; empty ones must be left out.
            progress: told what the daemon tells.

        Raises:
            AdapterRefusedError: this Ollama creates no models with adapters any more.
            DestinationError: the daemon said no, or broke off.
        """
        with self._explained():
            if fields.keys() <= _CLIENT_FIELDS:
                known = {("from_" if key == "from" else key): value for key, value in fields.items()}
                parts: Iterator[Any] = self._client.create(name, **known, stream=True)
            else:
                parts = self._lines("/api/create", {"model": name, **fields})
            _follow(parts, f"creating {name}", progress)

    def pull(self, name: str, progress: Progress | None = None, *, insecure: bool = False) -> None:
        """Have a model fetched from its registry, over plain HTTP where `insecure`.

        Raises:
            DestinationError: the daemon said no, or broke off.
        """
        with self._explained():
            parts = self._client.pull(name, insecure=insecure, stream=True)
            _follow(parts, f"pulling {name}", progress)

    def push(self, name: str) -> None:
        """Have a model sent to the registry in its name, over plain HTTP.

        Raises:
            DestinationError: the daemon said no, or broke off.
        """
        with self._explained():
            _follow(self._client.push(name, insecure=True, stream=True), f"pushing {name}", None)

    def copy(self, source: str, target: str) -> None:
        """Give a model a second name; one that had that name is replaced.

        Raises:
            DestinationError: the daemon said no, or has no such model.
        """
        with self._explained():
            self._client.copy(source, target)

    def delete(self, name: str) -> None:
        """Have a model removed.

        Raises:
            DestinationError: the daemon said no, or has no such model.
        """
        with self._explained():
            self._client.delete(name)

    def answer(self, name: str, prompt: str, tokens: int) -> tuple[str, tuple[float, ...]]:
        """Return what a model answers at temperature 0, without a template, and its log-probabilities.

        Raises:
            DestinationError: the model does not load.
        """
        options = {"temperature": 0, "seed": 1, "num_predict": tokens, "num_ctx": 512}
        body = {"model": name, "prompt": prompt, "raw": True, "stream": False, "logprobs": True}
        with self._explained():
            reply = self._http.post("/api/generate", json={**body, "options": options})
            reply.raise_for_status()
            said = reply.json()
            logprobs = [float(token["logprob"]) for token in said.get("logprobs") or ()]
            return str(said.get("response") or ""), tuple(logprobs)

    def unload(self, name: str) -> None:
        """Take a model out of memory: a runner keeps the template mode it was started with.

        Raises:
            DestinationError: the daemon said no.
        """
        import ollama

        with self._explained(), contextlib.suppress(ollama.ResponseError):  # there may be no such model yet
            self._client.generate(name, keep_alive=0)

    def _lines(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        import json

        import ollama

        with self._http.stream("POST", path, json=body) as answer:
            if answer.is_error:
                raise ollama.ResponseError(answer.read().decode("utf-8", "replace"), answer.status_code)
            for line in answer.iter_lines():
                part = json.loads(line)
                if part.get("error"):
                    raise ollama.ResponseError(str(part["error"]))
                yield part

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the client, the network and the daemon say into a DestinationError."""
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            raise daemon_error(str(error.error), self.address) from error
        except httpx.HTTPStatusError as error:
            raise daemon_error(error_message(error.response), self.address) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
            raise DestinationError(
                "No Ollama daemon answers.", where=self.address, hint="ollama serve, or OLLAMA_HOST=HOST:PORT"
            ) from error
        except httpx.HTTPError as error:
            raise DestinationError(f"The daemon broke off: {error}.", where=self.address) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DestinationError(
                "This does not answer like an Ollama daemon.",
                where=self.address,
                hint="OLLAMA_HOST=HOST:PORT of an Ollama",
            ) from error
        except OSError as error:
            raise DestinationError(f"This cannot be read: {error}.", where=error.filename) from error


def _file_pieces(path: Path, size: int, progress: Progress | None) -> Iterator[bytes]:
    done = 0
    with path.open("rb") as source:
        while chunk := source.read(UPLOAD_CHUNK):
            done += len(chunk)
            yield chunk
            if progress is not None:
                progress(f"sending {path.name}", done, size)


def _follow(parts: Iterator[Any], label: str, progress: Progress | None) -> None:
    """Read a stream to its end; HTTP 200 means nothing, the last line does."""
    last = ""
    for part in parts:
        last = str(part.get("status") or "")
        if progress is not None:
            progress(f"{label}: {last}", int(part.get("completed") or 0), int(part.get("total") or 0))
    if last != "success":
        raise DestinationError(f"The daemon broke off while {label}; its last word was {last!r}.")
