"""Opens a registry with the login that Docker keeps for it: oras-py reads it, and asks for tokens.

A password or a token goes to the registry itself, and to the place that the registry names for tokens, which
must be as safe as the registry is. See "A registry is spoken to with Docker's login" in docs/decisions.md.
"""

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import home_directory, read_json_object
from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.formats.untrusted_json import DAMAGE, as_mapping, file_errors, optional
from ollama_pack.registry.reference import OciReference

DIAL_SECONDS, SILENT_SECONDS = 20, 120
_HELPER_FAULTS: tuple[type[Exception], ...] = (*DAMAGE, OSError, TypeError)
"""What oras-py raises if a credential helper answers in another form, because it does not check the form."""

_INSTALL_OCI = "pip install 'ollama-pack[oci]'"


def open_client(place: OciReference, environment: Mapping[str, str]) -> tuple[Any, str]:
    """Return oras-py's client of a registry, with its login, and the address where the registry answered.

    Args:
        place: the place of a release; only its host counts.
        environment: the variables of the process; ``DOCKER_CONFIG`` names the directory of ``config.json``.

    Raises:
        UsageError: the extra ``oci`` is not installed.
        InputError: Docker's configuration is damaged.
        DestinationError: the registry does not answer.
    """
    try:
        import oras.logger
        import requests
        from oras.provider import Registry
    except ImportError as error:
        what = "The library oras is not installed."
        raise UsageError(what, where=place, hint=_INSTALL_OCI, code="extra-missing") from error
    oras.logger.logger.set_level(logging.CRITICAL)
    failed: Exception | None = None
    for address in place.addresses:
        client = Registry(hostname=place.host, insecure=address.startswith("http:"))
        _bound(client.session, own_machine=place.is_loopback, environment=environment)
        try:
            answer = client.session.request("GET", f"{address}/v2/", allow_redirects=False)
        except requests.RequestException as error:
            failed = error
            client.session.close()
            if _is_untrusted(failed):  # it speaks TLS; a password must not go there without it
                break
            continue
        client.auth = _login_for(client, answer.headers.get("Www-Authenticate", ""))
        client.auth._auth_config = read_logins(environment)
        _load_login(client, place)
        return client, address
    raise unreachable(place, failed) from failed


def _cause_of(error: BaseException) -> BaseException:
    """Return the operating system's error behind the error of a library, or that error if there is none."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner
        inner = inner.__cause__ or inner.__context__
    return error


def unreachable(place: OciReference, error: BaseException | None) -> DestinationError:
    """Return the error for a registry that cannot be reached, or whose certificate is not trusted."""
    from ollama_pack.shown import reason_of

    why = f": {reason_of(_cause_of(error))}" if error is not None else ""
    if _is_untrusted(error):
        return DestinationError(
            f"The certificate of the registry is not trusted{why}.",
            where=place,
            hint="REQUESTS_CA_BUNDLE=FILE with the certificate of the authority that signed it",
            code="no-network",
        )
    return DestinationError(
        f"The registry does not answer{why}.",
        where=place,
        hint="start the registry, or correct its address"
        if place.is_loopback or place.plain_http
        else "--plain-http  if the registry speaks HTTP only",
        code="no-network",
    )


def read_logins(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what Docker's ``config.json`` says of logins: ``auths``, ``credHelpers`` and ``credsStore``.

    Raises:
        InputError: the file is damaged.
    """
    named = environment.get("DOCKER_CONFIG", "").strip()
    path = (Path(named) if named else home_directory() / ".docker") / "config.json"
    if not path.is_file():
        return {"auths": {}}
    document = read_json_object(path)
    with file_errors(path):
        try:
            auths = as_mapping(document.get("auths") or {}, "auths")
            return {
                "auths": {host: dict(as_mapping(each, "auths")) for host, each in auths.items()},
                "credHelpers": dict(as_mapping(document.get("credHelpers") or {}, "credHelpers")),
                "credsStore": optional(document, "credsStore", ""),
            }
        except ValueError as error:
            raise InputError("The logins in Docker's configuration are damaged.", where=path) from error


def _is_untrusted(error: BaseException | None) -> bool:
    """Return whether a request failed because of the certificate, and not because there is no TLS."""
    import ssl

    seen: list[object] = [error]
    for each in seen:
        if isinstance(each, ssl.SSLCertVerificationError):
            return True
        if isinstance(each, BaseException):
            seen += [*each.args, getattr(each, "reason", None)]
    return False


def _login_for(client: Any, challenge: str) -> Any:  # noqa: ANN401 — oras has no types
    """Return oras-py's class for the login that the challenge of a registry asks for.

    Amazon's registry asks for user and password, which `docker login` and Amazon's credential helper provide;
    oras-py's own class for it would need boto3.
    """
    from oras.auth import get_auth_backend

    kind = "basic" if challenge.lower().startswith("basic") else "token"
    return get_auth_backend(kind, client.session, client.prefix == "http")


def _load_login(client: Any, place: OciReference) -> None:  # noqa: ANN401 — oras has no types
    """Load the login of a registry, from Docker's configuration or by its credential helper.

    Raises:
        InputError: the credential helper gives no usable answer.
    """
    try:
        client.auth.load_configs(client.get_container(f"{place.host}/{place.path}"))
    except _HELPER_FAULTS as error:
        raise InputError(
            "Docker's credential helper gives no usable answer.",
            where=place,
            hint=f"docker login {place.host}",
            code="login",
        ) from error


def _bound(session: Any, *, own_machine: bool, environment: Mapping[str, str]) -> None:  # noqa: ANN401
    """Give a session timeouts, keep it from ``.netrc``, and use no proxy for a registry on this machine."""
    session.request = functools.partial(session.request, timeout=(DIAL_SECONDS, SILENT_SECONDS))
    session.auth = lambda request: request
    session.headers["Accept-Encoding"] = "identity"
    session.headers["User-Agent"] = "ollama-pack"
    if own_machine:
        session.trust_env = False
        session.verify = environment.get("REQUESTS_CA_BUNDLE") or True
