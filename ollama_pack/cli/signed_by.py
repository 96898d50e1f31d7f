"""The options of ``verify`` and ``pull`` for who must have signed a release, and what it must be."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options, path_types

if TYPE_CHECKING:
    from ollama_pack.pipeline.release.policy import Policy
    from ollama_pack.pipeline.release.signing import Signer

signed_by = options.combine(
    click.option(
        "--key",
        type=path_types.FILE,
        default=None,
        metavar="FILE",
        help="Public key that the signature of the release must match.",
    ),
    click.option(
        "--identity",
        default="",
        metavar="ADDRESS",
        help="Identity that must have signed the release with Sigstore: an e-mail address, or the address "
        "of a workflow.",
    ),
    click.option(
        "--identity-provider",
        default="",
        metavar="ADDRESS",
        help="Address of the OpenID Connect provider that confirmed this identity.",
    ),
    click.option(
        "--policy",
        type=path_types.FILE,
        default=None,
        metavar="FILE",
        help="TOML file that says what a release needs: its signer, its base, its proofs.",
    ),
)


def signer_of(chosen: Mapping[str, Any]) -> "Signer | Policy | None":
    """Return who must have signed a release, or the policy that says so; None if nobody is named.

    Args:
        chosen: the options of the command.

    Raises:
        click.UsageError: a key and an identity are named, one of them beside a policy, or an identity without
            its provider.
    """
    from ollama_pack.pipeline.release.policy import read_policy
    from ollama_pack.pipeline.release.signing import Signer

    identity = (chosen["identity"], chosen["identity_provider"])
    if chosen["policy"] is not None:
        if chosen["key"] is not None or any(identity):
            raise click.UsageError("--policy says who must have signed, so --key and --identity cannot.")
        return read_policy(chosen["policy"])
    if chosen["key"] is not None and any(identity):
        raise click.UsageError("--key and --identity are for two kinds of signatures; give one of them.")
    if any(identity) and not all(identity):
        raise click.UsageError("--identity needs --identity-provider, and the other way round.")
    return Signer(chosen["key"], *identity) if chosen["key"] or all(identity) else None
