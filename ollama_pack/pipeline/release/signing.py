"""Signs the folder of a release, and checks who signed it, as the extra ``sign`` of this package.

All of it is done by `model_signing`, so that its own command reads the signature too. ``model.sig`` lies in
the folder and covers every other file there. See "A release is signed by model-signing" in docs/decisions.md.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ollama_pack.disk.files import DRAFT, read_small
from ollama_pack.errors import DestinationError, InputError, ProofError, UsageError
from ollama_pack.formats.untrusted_json import DAMAGE
from ollama_pack.shown import reason_of

SIGNATURE_NAME = "model.sig"
SIGN_CHOICES = ("key", "sigstore")
PASSWORD_VARIABLE = "OLLAMA_PACK_KEY_PASSWORD"
"""The variable of the environment with the password of an encrypted private key."""

_LARGEST_SIGNATURE = 1 << 22
_LARGEST_KEY = 1 << 16


@dataclass(frozen=True, slots=True)
class Signer:
    """Who must have signed a release: the owner of a key, or an identity that Sigstore's certificate names.

    Attributes:
        key: the file of the public key, in PEM; None for Sigstore.
        identity: the address of a person, or the address of a workflow.
        provider: the address of the OpenID Connect provider that knows this identity.

    Example:
        >>> Signer(identity="ada@example.org", provider="https://accounts.google.com").key is None
        True
    """

    key: Path | None = None
    identity: str = ""
    provider: str = ""


def open_signer(how: str, key: Path | None, environment: Mapping[str, str]) -> Callable[[Path], Path]:
    """Return the function that signs every file of a folder, and returns the path of the signature in it.

    The library and the key are checked here, so that a missing one is reported before a release is made.

    Args:
        how: one of `SIGN_CHOICES`. With ``sigstore``, a CI system says who it is; on a terminal, the browser
            asks.
        key: the file of the private key on an elliptic curve, in PEM; for ``key`` alone.
        environment: the variables of the process, for the password of the key and for the CI system.

    Raises:
        UsageError: the extra ``sign`` is not installed.
        InputError: the key cannot be read.
        DestinationError: by the function, if Sigstore does not answer, or the folder cannot be written.

    Example:
        >>> open_signer("key", Path("private.pem"), os.environ)(Path("dist"))  # doctest: +SKIP
        PosixPath('dist/model.sig')
    """
    configured = _with_key(_model_signing().signing.Config(), key, environment)

    def sign(folder: Path) -> Path:
        signature, draft = folder / SIGNATURE_NAME, folder / f"{DRAFT}{SIGNATURE_NAME}"
        configured.set_hashing_config(_all_but((signature.name, draft.name)))
        try:
            if how == "sigstore":
                configured.use_sigstore_signer(use_ambient_credentials=bool(environment.get("CI")))
            configured.sign(folder, draft)
            draft.replace(signature)
        except _failures() as error:
            draft.unlink(missing_ok=True)
            raise DestinationError(
                f"The release is made, but it cannot be signed: {reason_of(error)}.",
                where=folder,
                hint="run the same command again: it makes and signs the release",
                code="not-signed",
            ) from error
        return signature

    return sign


def _with_key(configured: Any, key: Path | None, environment: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return how a folder is signed, with the private key if there is one.

    Raises:
        InputError: the key cannot be read.
    """
    if key is None:
        return configured
    password = environment.get(PASSWORD_VARIABLE) or None
    with _key_errors(key):
        read_small(key, _LARGEST_KEY)
        try:
            return configured.use_elliptic_key_signer(private_key=key, password=password)
        except TypeError:  # model-signing 1.1 hands the text to a function that takes bytes
            if password is None:
                raise
            return configured.use_elliptic_key_signer(private_key=key, password=password.encode())


def check_signature(folder: Path, signer: Signer) -> str:
    """Return a line that says who signed every file of a folder.

    Args:
        folder: the folder.
        signer: who must have signed it.

    Raises:
        UsageError: the extra ``sign`` is not installed.
        InputError: the key cannot be read.
        ProofError: there is no signature, somebody else signed, or a file is not the one that was signed.
    """
    verifying = _model_signing().verifying
    signature = folder / SIGNATURE_NAME
    configured = verifying.Config().set_hashing_config(_all_but((SIGNATURE_NAME,)))
    if signer.key is not None:
        with _key_errors(signer.key):
            read_small(signer.key, _LARGEST_KEY)
            configured.use_elliptic_key_verifier(public_key=signer.key)
    try:
        read_small(signature, _LARGEST_SIGNATURE)  # what is no regular file, or too large, ends here
        if signer.key is None:
            configured.use_sigstore_verifier(identity=signer.identity, oidc_issuer=signer.provider)
        configured.verify(folder, signature)
    except FileNotFoundError as error:
        raise _not_signed("There is no signature.", signature) from error
    except _failures() as error:
        raise _not_signed(f"The signature does not hold: {reason_of(error)}.", signature) from error
    by = f"the key {signer.key.name}" if signer.key else f"{signer.identity}, known to {signer.provider}"
    return f"every file is signed by {by}"


def _all_but(names: tuple[str, ...]) -> object:
    """Return how a folder is hashed: all of it but the files of these names at its top."""
    return _model_signing().hashing.Config().set_ignored_paths(paths=names, ignore_git_paths=False)


def _model_signing() -> ModuleType:
    """Return the library.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import model_signing
        import model_signing.hashing
    except ImportError as error:
        raise UsageError(
            "The library model-signing is not installed.",
            hint="pip install 'ollama-pack[sign]'",
            code="extra-missing",
        ) from error
    library: ModuleType = model_signing  # Any where it is not installed
    return library


def _failures() -> tuple[type[Exception], ...]:
    """Return what the library raises for a key, a signature or a service that cannot be used.

    It reads JSON of others without checking its shape, so a TypeError or an AttributeError is one of them.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from sigstore.errors import Error

    return (
        *DAMAGE,
        OSError,
        TypeError,
        AttributeError,
        RuntimeError,
        InvalidSignature,
        UnsupportedAlgorithm,
        Error,
    )


@contextlib.contextmanager
def _key_errors(key: Path) -> Iterator[None]:
    """Turn what reading a key raises inside the block into the error of its file."""
    try:
        yield
    except _failures() as error:
        raise InputError(
            f"The key cannot be read: {reason_of(error)}.",
            where=key,
            hint=f"a key of the curve P-256 in PEM; {PASSWORD_VARIABLE} has the password of a private one",
            code="bad-key",
        ) from error


def _not_signed(what: str, signature: Path) -> ProofError:
    """Return the error for a release that was not signed as it must be."""
    return ProofError(what, where=signature, hint="get it again from whoever made it", code="not-signed")
