"""Sends requests to a running Ollama daemon, through the official ``ollama`` client.

This file and `ollama_pack/ollama/clients.py` alone use ``ollama``. The library and ``httpx`` are imported
when the first `Daemon` is made, so that ``--help`` stays instant. The client creates, pulls, pushes, copies,
deletes and unloads models. All other requests are sent with plain ``httpx``, and so is the creation of a
model with ``renderer``, ``parser`` or ``requires``, which the client (0.6) does not offer.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError
from ollama_pack.formats.untrusted_json import as_mapping, as_text, optional, parse_object
from ollama_pack.http.exchange import ExchangeBounds
from ollama_pack.ollama import api_types
from ollama_pack.ollama.api_errors import daemon_error, error_message, no_daemon
from ollama_pack.ollama.api_types import Listed, Objects, Shown, read_listed, read_rendered, read_shown
from ollama_pack.ollama.clients import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    SILENCE_SECONDS,
    SLOWEST_UPLOAD,
    STREAM_SECONDS,
    make_clients,
)
from ollama_pack.ollama.stream import file_pieces, follow_stream
from ollama_pack.shown import reason_of, shown_address, words_of

_CLIENT_FIELDS = frozenset(
    ("from", "files", "adapters", "template", "license", "system", "parameters", "messages")
)


class Daemon:
    """An Ollama daemon at one address.

    Args:
        address: the URL of the daemon, as `parse_host` returns it.

    Attributes:
        address: the URL as it may be shown, without secrets.

    Raises:
        UsageError: what the environment says of proxies, certificates or a key cannot be used.
    """

    def __init__(self, address: str) -> None:
        self.address = shown_address(address)
        self._bounds = ExchangeBounds()
        self._http, self._client = make_clients(address, self._bounds)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()
        # Old versions of the client have no method to close it.
        close: Callable[[], object] = getattr(self._client, "close", lambda: None)
        close()

    def version(self) -> str:
        """Return the daemon's version; a daemon that was built from source reports ``0.0.0``.

        Raises:
            DestinationError: no daemon answers.
        """
        with self.explained(2 * CONNECT_SECONDS):
            answer = self._http.get("/api/version", timeout=CONNECT_SECONDS)
            if answer.is_error:
                raise ValueError(answer.status_code)
            return as_text(parse_object(answer.content).get("version"), "version")

    def why_absent(self) -> str:
        """Return why the daemon cannot be used, or an empty string if it answers."""
        try:
            self.version()
        except DestinationError as error:
            return error.clause
        return ""

    def models(self) -> list[Listed]:
        """Return the models of the daemon, each once, with the digest of its manifest for GGUF.

        Raises:
            DestinationError: the daemon rejected the request, or did not answer.
        """
        with self.explained():
            answer = self._http.get("/api/tags")
            answer.raise_for_status()
            return read_listed(parse_object(answer.content))

    def show(self, name: str, *, verbose: bool = False) -> Shown | None:
        """Return what the daemon shows of a model, or None if it has no such model.

        With `verbose` the metadata includes long lists such as the tokens, which take megabytes.

        Raises:
            DestinationError: the daemon rejected the request, or did not answer.
        """
        with self.explained():
            answer = self._http.post("/api/show", json={"model": name, "verbose": verbose})
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
            return read_shown(parse_object(answer.content))

    def has_blob(self, digest: str) -> bool:
        """Return whether the daemon has the blob ``sha256:…``.

        Raises:
            DestinationError: the daemon rejected the request, or did not answer.
        """
        with self.explained():
            answer = self._http.head(f"/api/blobs/{digest}")
            if answer.status_code == 404:
                return False
            answer.raise_for_status()
            return True

    def upload(self, path: Path, digest: str, progress: Progress | None = None) -> int:
        """Upload a file as a blob, unless the daemon has it, and return the number of bytes sent.

        Raises:
            DestinationError: the daemon rejected the blob, or the file does not match `digest`.
        """
        if self.has_blob(digest):
            return 0
        with self.explained():
            size = path.stat().st_size
        with self.explained(SILENCE_SECONDS + size / SLOWEST_UPLOAD):
            body = file_pieces(path, size, progress)
            answer = self._http.post(
                f"/api/blobs/{digest}", content=body, headers={"Content-Length": str(size)}
            )
            answer.raise_for_status()
        return size

    def create(self, name: str, fields: Mapping[str, Any], progress: Progress | None = None) -> None:
        """Create a model with ``/api/create``, and wait until the daemon has finished.

        Args:
            name: the name of the model.
            fields: the other fields of the request; empty fields must be left out.
            progress: the function that receives the daemon's progress, or None.

        Raises:
            AdapterRefusedError: this Ollama no longer creates models with adapters.
            DestinationError: the daemon rejected the request, or closed the connection.
        """
        with self.explained(STREAM_SECONDS, lines=True):
            if fields.keys() <= _CLIENT_FIELDS:
                known = {("from_" if key == "from" else key): value for key, value in fields.items()}
                parts: Iterator[Any] = self._client.create(name, **known, stream=True)
            else:
                parts = self.lines("/api/create", {"model": name, **fields})
            follow_stream(parts, f"creating {name}", progress)

    def pull(self, name: str, progress: Progress | None = None, *, insecure: bool = False) -> None:
        """Let the daemon pull a model from its registry; with `insecure` it uses plain HTTP.

        Raises:
            DestinationError: the daemon rejected the request, or closed the connection.
        """
        with self.explained(STREAM_SECONDS, lines=True):
            parts = self._client.pull(name, insecure=insecure, stream=True)
            follow_stream(parts, f"pulling {name}", progress)

    def push(self, name: str, progress: Progress | None = None) -> None:
        """Let the daemon push a model to the registry that its name contains, over plain HTTP.

        Raises:
            DestinationError: the daemon rejected the request, or closed the connection.
        """
        with self.explained(STREAM_SECONDS, lines=True):
            follow_stream(self._client.push(name, insecure=True, stream=True), f"pushing {name}", progress)

    def copy(self, source: str, target: str) -> None:
        """Copy a model to the name `target`, and replace a model that has this name.

        Raises:
            DestinationError: the daemon rejected the request, or has no such model.
        """
        with self.explained():
            self._client.copy(source, target)

    def delete(self, name: str) -> None:
        """Delete a model.

        Raises:
            DestinationError: the daemon rejected the request, or has no such model.
        """
        with self.explained():
            self._client.delete(name)

    def answer(self, name: str, prompt: str, tokens: int) -> tuple[str, tuple[float, ...]]:
        """Return at most `tokens` tokens that continue `prompt`, and their log-probabilities.

        The model runs at temperature 0 and without its template.

        Raises:
            DestinationError: the model does not load.
        """
        options = {"temperature": 0, "seed": 1, "num_predict": tokens, "num_ctx": 512}
        body = {"model": name, "prompt": prompt, "raw": True, "stream": False, "logprobs": True}
        with self.explained(SILENCE_SECONDS):
            reply = self._http.post("/api/generate", json={**body, "options": options})
            reply.raise_for_status()
            content = parse_object(reply.content)
            tokens_of = (as_mapping(each, "logprobs") for each in optional(content, "logprobs", []))
            return optional(content, "response", ""), tuple(float(each["logprob"]) for each in tokens_of)

    def rendered(self, name: str, messages: Objects, path: str, tools: Objects | None = None) -> str | None:
        """Return the prompt that the daemon makes of messages, or None if it is too old to say.

        Raises:
            DestinationError: the model does not load, or the daemon does not take the messages.
        """
        with self.explained(SILENCE_SECONDS):
            reply = self._http.post(path, json=api_types.render_request(name, messages, path, tools))
            reply.raise_for_status()
            return read_rendered(parse_object(reply.content))

    def load(self, name: str) -> None:
        """Have the daemon load a model, without a question to it.

        Raises:
            DestinationError: the model does not load.
        """
        self.answer(name, "", 1)

    def loaded(self) -> list[str]:
        """Return the names of the models that are loaded.

        Raises:
            DestinationError: the daemon rejected the request, or did not answer.
        """
        with self.explained():
            answer = self._http.get("/api/ps")
            answer.raise_for_status()
            return [each.name for each in read_listed(parse_object(answer.content))]

    def unload(self, name: str) -> None:
        """Unload a model from memory, if it exists.

        A model that is replaced must be unloaded, because its runner keeps the template it was started with.

        Raises:
            DestinationError: the daemon did not answer.
        """
        import ollama

        # A new model does not exist yet.
        with self.explained(SILENCE_SECONDS), contextlib.suppress(ollama.ResponseError):
            self._client.generate(name, keep_alive=0)

    def lines(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the JSON lines of a streamed response; raise ``ollama.ResponseError`` for an error line."""
        import ollama

        with self._http.stream("POST", path, json=body) as answer:
            if answer.is_error:
                raise ollama.ResponseError(answer.read().decode("utf-8", "replace"), answer.status_code)
            for line in answer.iter_lines():
                part = parse_object(line)
                if part.get("error"):
                    raise ollama.ResponseError(str(part["error"]))
                yield part

    @contextlib.contextmanager
    def explained(self, seconds: float = ANSWER_SECONDS, *, lines: bool = False) -> Iterator[None]:
        """Bound an exchange, and turn every error of client, network and daemon into a DestinationError."""
        import httpx
        import ollama

        try:
            with self._bounds.within(seconds, self.address, lines=lines):
                yield
        except ollama.ResponseError as error:
            raise daemon_error(words_of(str(error.error)), self.address) from error
        except httpx.HTTPStatusError as error:
            raise daemon_error(error_message(error.response), self.address) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
            raise no_daemon(self.address) from error
        except httpx.HTTPError as error:
            raise DestinationError(
                f"The connection to the daemon failed: {reason_of(error)}.", where=self.address
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise DestinationError(
                "The program at this address is not an Ollama daemon.",
                where=self.address,
                hint="set OLLAMA_HOST=HOST:PORT to the address of an Ollama daemon",
            ) from error
        except OSError as error:
            raise DestinationError(
                f"This file cannot be read: {reason_of(error)}.", where=error.filename
            ) from error
