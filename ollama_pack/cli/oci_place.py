"""What ``push`` and ``pull`` share: the place in a registry, and what their documents say of a release."""

from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.options import combine

if TYPE_CHECKING:
    from ollama_pack.pipeline.release.outgoing import Pushed
    from ollama_pack.pipeline.release.pull import Pulled

plain_http = click.option(
    "--plain-http",
    is_flag=True,
    help="Ask the registry by HTTP.  [default: HTTPS; HTTP if a registry on this machine has no HTTPS]",
)
oci_place = combine(click.argument("place", metavar="oci://HOST/NS/NAME:TAG"), plain_http)


def oci_facts(release: "Pushed | Pulled") -> dict[str, Any]:
    """Return what a JSON document says of a release in a registry."""
    return {
        "digest": release.digest,
        "files": [{"name": each.name, "digest": each.digest, "size": each.size} for each in release.files],
    }
