"""What somebody requires of a release before it is used: who signed it, on which base, with which proofs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import Note, read_json_object, user_path
from ollama_pack.disk.toml_file import TomlFile, read_toml
from ollama_pack.errors import ProofError, UsageError, bullet_list
from ollama_pack.formats.untrusted_json import as_list, as_mapping, as_text, file_errors
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.release.papers.names import RECORD_NAME, name_of_base
from ollama_pack.pipeline.release.signing import Signer, check_signature
from ollama_pack.shown import words_of
from ollama_pack.verify.result import ProofResult

_KEYS = {
    "signature": ("keys", "identities"),
    "base": ("models", "digests"),
    "proofs": ("required",),
    "licenses": ("allowed",),
}
_IDENTITY = ("identity", "provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is required of a release. An empty list requires nothing.

    Attributes:
        path: the file that says so.
        signers: who may have signed it; one of them must.
        bases: the Ollama models or Hugging Face ids of which one must be the base.
        digests: the digests of which one must be that of the base, of its manifest or its GGUF file.
        proofs: the proofs that must hold by the record of the release.
        licenses: the licences of which the adapter and the base must each have one.
    """

    path: Path
    signers: tuple[Signer, ...]
    bases: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()


def read_policy(path: Path) -> Policy:
    """Return the policy in a TOML file; docs/release.md has its keys.

    The keys of signers are named from where the file lies. A signer is required, since whoever makes a
    release also writes what its record says.

    Raises:
        InputError: the file cannot be read.
        UsageError: it has an unknown key, a value of a wrong kind, or names no signer.

    Example:
        >>> read_policy(Path("policy.toml")).proofs  # doctest: +SKIP
        ('numbers', 'prompt')
    """
    file = read_toml(path)
    file.require_keys(_KEYS)
    for table, keys in _KEYS.items():
        file.require_keys(keys, table)
    named = [path.parent / user_path(each) for each in file.texts("signature", "keys")]
    signers = (*map(Signer, named), *_sigstore_signers(file))
    if not signers:
        raise UsageError(
            "This policy names nobody who must have signed.",
            where=path,
            hint="[signature] with keys or identities, as docs/release.md shows",
            code="no-signer",
        )
    return Policy(
        path=path,
        signers=signers,
        bases=file.texts("base", "models"),
        digests=file.texts("base", "digests"),
        proofs=file.texts("proofs", "required"),
        licenses=file.texts("licenses", "allowed"),
    )


def _sigstore_signers(file: TomlFile) -> list[Signer]:
    """Return the identities of Sigstore that a policy names."""
    found = file.table("signature").get("identities", [])
    right = isinstance(found, list) and all(
        isinstance(each, dict) and sorted(each) == sorted(_IDENTITY) and all(map(_is_text, each.values()))
        for each in found
    )
    if not right:
        raise file.error(
            'This must be a list of { identity = "…", provider = "…" }', "signature", "identities"
        )
    return [Signer(None, each["identity"], each["provider"]) for each in found]


def _is_text(value: object) -> bool:
    """Return whether a value is a text that is not empty."""
    return isinstance(value, str) and bool(value)


def require_policy(folder: Path, policy: Policy, note: Note = silent) -> tuple[ProofResult, ...]:
    """Return the proofs that a release is as a policy requires: ``signature`` and ``policy``.

    The signature is checked first, and covers every file: the record is that of who signed. That it is true
    of the files is another proof, which `verify_release` makes.

    Args:
        folder: the folder of the release.
        policy: what is required.
        note: called after each proof.

    Raises:
        ProofError: nobody of the policy has signed it, or it is not as the policy requires.
        InputError: a key of the policy cannot be read, or the record is damaged.
        UsageError: the extra ``sign`` is not installed.

    Example:
        >>> require_policy(Path("dist"), read_policy(Path("policy.toml")))[0].proof  # doctest: +SKIP
        'signature'
    """
    signed = ProofResult("signature", passed=True, figure=0.0, limit=0.0, summary=_who_signed(folder, policy))
    note("proof", signed)
    path = folder / RECORD_NAME
    if not path.is_file():
        raise _against(policy, ["it is not a release: it has no release.json"], folder)
    with file_errors(path):
        problems = _problems_of(as_mapping(read_json_object(path), RECORD_NAME), policy)
    if problems:
        raise _against(policy, problems, folder)
    summary = f"the release is as {policy.path.name} requires"
    kept = ProofResult("policy", passed=True, figure=0.0, limit=0.0, summary=summary)
    note("proof", kept)
    return signed, kept


def _who_signed(folder: Path, policy: Policy) -> str:
    """Return a line about the first of a policy's signers who signed a folder."""
    problems = []
    for signer in policy.signers:
        try:
            return check_signature(folder, signer)
        except ProofError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    what = bullet_list(f"None of the {len(problems)} signers has signed.", [each.clause for each in problems])
    first = problems[0]
    raise ProofError(what, where=first.where, hint=first.hint, code=first.code) from first


def _problems_of(record: Mapping[str, Any], policy: Policy) -> list[str]:
    """Return, as clauses, where a record is not as a policy requires."""
    base = as_mapping(record.get("base"), "base")
    problems = []
    names = {str(base.get("tag") or ""), str(base.get("source_id") or "")} - {""}
    if policy.bases and not names & set(policy.bases):
        problems.append(f"its base is {words_of(name_of_base(record))}, not {' or '.join(policy.bases)}")
    digests = {str(base.get("manifest") or ""), str(base.get("blob") or "")} - {""}
    if policy.digests and not digests & set(policy.digests):
        told = ", ".join(sorted(digests)) or "no digest"
        problems.append(f"its base has {words_of(told)}, which the policy does not list")
    proofs = [as_mapping(each, "proofs") for each in as_list(record.get("proofs"), "proofs")]
    held = {each.get("proof") for each in proofs if each.get("passed") is True}
    problems += [f"the proof of {name} was not made" for name in policy.proofs if name not in held]
    licenses = as_mapping(record.get("licenses"), "licenses")
    for part in ("adapter", "base") if policy.licenses else ():
        named = as_text(licenses.get(part), part)
        if named not in policy.licenses:
            problems.append(f"the {part} is under {words_of(named) if named else 'no licence that it names'}")
    return problems


def _against(policy: Policy, problems: list[str], folder: Path) -> ProofError:
    """Return the error for a release that is not as a policy requires."""
    return ProofError(
        bullet_list(f"The release is not as {policy.path.name} requires.", problems),
        where=folder,
        hint="use another release, or change the policy",
        code="against-policy",
    )
