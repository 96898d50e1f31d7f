"""Sends requests to a registry with its login, and pushes and fetches manifests; every digest is checked."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError, ProofError, UsageError
from ollama_pack.formats.untrusted_json import as_list, as_mapping, optional, parse_object
from ollama_pack.ollama.manifest import MANIFEST_TYPE
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.registry.artifact import ARTIFACT_INDEX, ARTIFACT_MANIFEST
from ollama_pack.registry.login import open_client, unreachable
from ollama_pack.registry.reference import OciReference
from ollama_pack.shown import reason_of, words_of

LARGEST_ANSWER = 4 << 20
_MANIFESTS = (ARTIFACT_MANIFEST, MANIFEST_TYPE, ARTIFACT_INDEX)
_DIGEST_HEADER = "Docker-Content-Digest"


@dataclass(slots=True)
class RemoteRegistry:
    """A repository of a registry.

    Attributes:
        place: the place of a release in it.
        client: oras-py's client, which sends each of its requests through `request`.
        address: the address where the registry answered.
        progress: called while bytes are moved.
        answered: the last answer, which says more than the errors of oras-py.
    """

    place: OciReference
    client: Any
    address: str
    progress: Progress | None = None
    answered: Any = None

    def __enter__(self) -> "RemoteRegistry":
        return self

    def __exit__(self, *error: object) -> None:
        if self.answered is not None:
            self.answered.close()
        self.client.session.close()

    def push_manifest(self, content: bytes, version: str, media_type: str = ARTIFACT_MANIFEST) -> bool:
        """Send a manifest, the last step of a push; return whether the registry lists it as a referrer.

        Args:
            content: the manifest.
            version: its tag, or its digest.
            media_type: its media type.

        Raises:
            DestinationError: the registry refuses the manifest.
            ProofError: the registry reports another digest for it.
        """
        digest = digest_of_bytes(content)
        with self.reported():
            answer = self.request(
                self.url("manifests", version),
                "PUT",
                data=content,
                headers={"Content-Type": media_type},
            )
        if media_type == MANIFEST_TYPE and answer.status_code == 415:
            said = self._words(answer) or "without a reason"
            raise DestinationError(
                f"The registry does not accept Ollama's type of manifest: status 415, {said}.",
                where=self.place,
                hint="push a folder without --with-base; zot needs compat docker2s2 in its configuration",
                code="registry",
            )
        self.require(answer, "does not take the release", 200, 201)
        if answer.headers.get(_DIGEST_HEADER, digest) != digest:
            raise self.lie("the manifest that was pushed")
        return "OCI-Subject" in answer.headers

    def fetch_manifest(self, version: str = "") -> bytes:
        """Return a manifest of the repository.

        Args:
            version: its tag or its digest; by default that of `place`.

        Raises:
            UsageError: there is no such manifest.
            DestinationError: the registry refuses the request, or the manifest is too large.
            ProofError: the manifest has another digest than the one that was asked for or announced.
        """
        version = version or self.place.version
        with self.reported():
            url = self.url("manifests", version)
            answer = self.request(url, headers={"Accept": ", ".join(_MANIFESTS)}, stream=True)
            if answer.status_code == 404:
                raise UsageError(
                    "The registry has no such release.",
                    where=self.place,
                    hint="check the name and the tag; for a private repository, run docker login HOST",
                    code="no-such-directory",
                )
            self.require(answer, "does not send the release", 200)
            content = answer.raw.read(LARGEST_ANSWER + 1)
        if len(content) > LARGEST_ANSWER:
            what = f"The manifest has more than {LARGEST_ANSWER} bytes."
            raise DestinationError(what, where=self.place, code="answer-too-large")
        told = version if ":" in version else answer.headers.get(_DIGEST_HEADER, "")
        if told.startswith("sha256:") and told != digest_of_bytes(content):
            raise self.lie("the manifest")
        return bytes(content)

    def told_digest(self) -> str:
        """Return the digest that the registry reports for the place; empty if it reports none.

        It is compared with no bytes, so it can show that something may have changed, but proves nothing.

        Raises:
            DestinationError: the registry does not answer.
        """
        url = self.url("manifests", self.place.version)
        with self.reported():
            answer = self.request(url, "HEAD", headers={"Accept": ", ".join(_MANIFESTS)})
        return str(answer.headers.get(_DIGEST_HEADER, "")) if answer.status_code == 200 else ""

    def request(self, url: str, method: str = "GET", **more: Any) -> Any:  # noqa: ANN401
        """Send a request, and again with a login if the registry asks for one; oras-py calls this too.

        The login goes to the registry alone, also if the registry names another place for an upload. Only a
        blob may lie elsewhere; it is read there without the login.

        Args:
            url: the address.
            method: the method.
            more: ``headers``, ``data``, ``json`` and ``stream``, as requests takes them.
        """
        own = urlsplit(url)[:2] == urlsplit(self.address)[:2]
        more["allow_redirects"] = method == "HEAD" or (method == "GET" and "/blobs/" in url)
        plain = more.pop("headers", None) or {}
        known = self.client.auth.get_auth_header() if own and self._has_login() else {}
        answer = self.client.session.request(method, url, headers={**plain, **known}, **more)
        if answer.status_code == 401 and own and (login := self._new_login(answer)):
            answer.close()
            answer = self.client.session.request(method, url, headers={**plain, **login}, **more)
        if self.answered is not None:
            self.answered.close()
        self.answered = answer
        return answer

    def _has_login(self) -> bool:
        """Return whether a request can have a login without asking for a token."""
        return getattr(self.client.auth, "token", None) is not None or (
            self.is_basic and hasattr(self.client.auth, "_basic_auth")
        )

    @property
    def is_basic(self) -> bool:
        """Return whether the registry takes user and password themselves, and no token."""
        return not hasattr(self.client.auth, "token")

    def _new_login(self, answer: Any) -> Mapping[str, str]:  # noqa: ANN401
        """Return the header with the token that a registry asks for; empty if no token can be obtained."""
        from oras.auth.utils import parse_auth_header

        challenge = answer.headers.get("Www-Authenticate", "")
        if self.is_basic or not challenge:
            return {}
        realm = parse_auth_header(challenge).realm or ""
        if challenge.lower().startswith("bearer") and not is_safe_realm(realm, self.address):
            raise DestinationError(
                "The registry asks to send the login to another address without TLS.",
                where=self.place,
                code="login",
            )
        headers, changed = self.client.auth.authenticate_request(answer, {}, refresh=True)
        return headers if changed else {}

    def url(self, kind: str, name: str, path: str = "") -> str:
        """Return the address of a blob or a manifest of the repository, or of another one of the registry."""
        return f"{self.address}/v2/{path or self.place.path}/{kind}/{name}"

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """Turn errors of libraries into errors of this package; oras-py has ValueError for a wrong answer.

        Raises:
            DestinationError: a request failed, or the answer is not that of a registry.
        """
        import requests
        import urllib3

        try:
            yield
        except ValueError as error:
            if self.answered is not None:
                self.require(self.answered, "does not take the file", 200, 201, 202)
            what = f"The server does not answer as a registry does: {self._clean(reason_of(error))}."
            raise DestinationError(what, where=self.place, code="registry") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise unreachable(self.place, error) from error

    def require(self, answer: Any, clause: str, *right: int) -> None:  # noqa: ANN401
        """Require that an answer has a `right` status.

        Args:
            answer: the answer.
            clause: what the registry does otherwise, such as ``does not send the release``.
            right: the statuses.

        Raises:
            DestinationError: it has another status; the error has the reason that the registry gives.
        """
        status = answer.status_code
        if status in right:
            return
        if status == 401:
            has_login = hasattr(self.client.auth, "_basic_auth")
            raise DestinationError(
                "The registry refuses the login." if has_login else "The registry asks for a login.",
                where=self.place,
                hint=f"docker login {self.place.host}",
                code="login",
            )
        said = self._words(answer)
        what = f"The registry {clause}: status {status}{f', {said}' if said else ''}."
        raise DestinationError(what, where=self.place, code="registry")

    def _words(self, answer: Any) -> str:  # noqa: ANN401
        """Return the reason that a registry gives for a refusal in OCI's form, or an empty text."""
        with contextlib.suppress(ValueError):
            errors = as_list(parse_object(answer.content[:LARGEST_ANSWER]).get("errors"), "errors")
            first = as_mapping(errors[0], "errors") if errors else {}
            said = f"{optional(first, 'code', '')} {optional(first, 'message', '')}"
            return self._clean(words_of(said)).rstrip(".")
        return ""

    def _clean(self, text: str) -> str:
        """Return a text without the login, which a registry might repeat."""
        import base64

        auth = self.client.auth
        basic = getattr(auth, "_basic_auth", None) or ""
        password = (
            base64.b64decode(basic, validate=False).decode(errors="replace").partition(":")[2]
            if basic
            else ""
        )
        for secret in filter(None, (basic, password, getattr(auth, "token", None))):
            text = text.replace(secret, "…")
        return text

    def lie(self, what: str) -> ProofError:
        """Return the error for bytes whose digest is not the one that was announced."""
        return ProofError(
            f"The registry has other bytes for {what} than its digest says.",
            where=self.place,
            hint="the registry, or something on the way to it, is damaged or lies: tell its administrator",
            code="wrong-digest",
        )


def is_safe_realm(realm: str, address: str) -> bool:
    """Return whether a password may be sent to a token server: it has TLS, or is the registry itself."""
    return realm.startswith(("https://", f"{address}/"))


def open_registry(
    place: OciReference, environment: Mapping[str, str], progress: Progress | None = None
) -> RemoteRegistry:
    """Return the repository that a place names, with the login that Docker has for its registry.

    Raises:
        UsageError: the extra ``oci`` is not installed.
        InputError: Docker's configuration is damaged.
        DestinationError: the registry does not answer.
    """
    client, address = open_client(place, environment)
    remote = RemoteRegistry(place, client, address, progress)
    client.do_request = remote.request
    return remote
