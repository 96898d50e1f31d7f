"""Parses ``oci://HOST/NAMESPACE/NAME:TAG``, the place of a release in a registry."""

import re
from dataclasses import dataclass, replace

from ollama_pack.errors import UsageError
from ollama_pack.http.environment import check_address
from ollama_pack.http.loopback import is_loopback
from ollama_pack.shown import shown_address

OCI_SCHEME = "oci://"
_FORM = "write oci://HOST/NAMESPACE/NAME:TAG; @ and a digest may take the place of :TAG"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_PATH = re.compile(
    rf"(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>[A-Za-z0-9_][\w.-]{{0,127}})|@(?P<digest>sha256:[0-9a-f]{{64}}))?",
    re.ASCII,
)
_LONGEST_PATH = 255


@dataclass(frozen=True, slots=True)
class OciReference:
    """The place of a release in a registry.

    Attributes:
        host: the host of the registry, with its port.
        path: the repository, such as ``team/ada-lovelace``.
        version: a tag, or a digest ``sha256:…``.
        plain_http: whether the registry is asked by HTTP, because the user said so.
    """

    host: str
    path: str
    version: str
    plain_http: bool = False

    def __str__(self) -> str:
        mark = "@" if self.is_pinned else ":"
        return f"{OCI_SCHEME}{self.host}/{self.path}{mark}{self.version}"

    def at(self, digest: str) -> "OciReference":
        """Return the place of another manifest of the repository, by its digest."""
        return replace(self, version=digest)

    @property
    def is_pinned(self) -> bool:
        """Return whether the version is a digest; unlike a tag, it always names the same manifest."""
        return self.version.startswith("sha256:")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses to try in turn: HTTP only on this machine, or if the user asked for it."""
        if self.plain_http:
            return (f"http://{self.host}",)
        secure = f"https://{self.host}"
        return (secure, f"http://{self.host}") if self.is_loopback else (secure,)

    @property
    def is_loopback(self) -> bool:
        """Return whether the registry runs on this machine."""
        host = self.host.rpartition(":")[0] if self.host.rpartition(":")[2].isdigit() else self.host
        return is_loopback(host.strip("[]"))


def release_tag(tag: str) -> str:
    """Return the tag of a release whose own tag names a model that Ollama can pull."""
    return f"{tag}-release"


def parse_oci_reference(text: str, *, plain_http: bool = False) -> OciReference:
    """Return what ``oci://HOST/NAMESPACE/NAME``, ``…:TAG`` and ``…@sha256:DIGEST`` name.

    Args:
        text: what the user typed; without a tag it means ``latest``.
        plain_http: whether the registry is asked by HTTP.

    Raises:
        UsageError: the text has another form. A user or a password in it is not repeated.

    Example:
        >>> str(parse_oci_reference("oci://registry.example.com/team/ada-lovelace"))
        'oci://registry.example.com/team/ada-lovelace:latest'
    """
    host, slash, rest = text.removeprefix(OCI_SCHEME).partition("/")
    if "@" in host:
        raise UsageError(
            "The name of a registry takes no user and no password.",
            where=shown_address(text),
            hint="docker login HOST  keeps them, and they are read from there",
            code="bad-name",
        )
    match = _PATH.fullmatch(rest)
    if not text.startswith(OCI_SCHEME) or not slash or match is None or len(match["path"]) > _LONGEST_PATH:
        raise UsageError(
            "This does not name a release in a registry.", where=text, hint=_FORM, code="bad-name"
        )
    try:
        check_address(f"https://{host}", "HOST", _FORM)
    except UsageError as error:
        raise UsageError(
            "The host of the registry is not valid.", where=text, hint=_FORM, code="bad-name"
        ) from error
    return OciReference(host, match["path"], match["digest"] or match["tag"] or "latest", plain_http)
