"""Prove that a release is whole: SHA256SUMS lists every file, and what its papers say of the files is true.

What is expected is stated here a second time, from the formats of the papers; nothing that made them is used.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import Progress, read_json_object, read_small, sha256_of_file
from ollama_pack.errors import ProofError
from ollama_pack.formats.untrusted_json import file_errors, parse_json
from ollama_pack.verify.result import ProofResult

SUMS = "SHA256SUMS"
SIGNATURE = "model.sig"
"""The signature of the sums and of every other file; it is made last."""

RECORD = "release.json"
STATEMENTS = ("provenance.intoto.json", "test-result.intoto.json")
BOM = "bom.cdx.json"
CARD_OF_RELEASE = "README.md"
LOCK = "ollama-pack.lock"
PAPERS = {SUMS, SIGNATURE, RECORD, *STATEMENTS, BOM, CARD_OF_RELEASE}
"""The files that the record does not list, because they are made from the record."""

ACCEPTED = {"prompt", "rendered"}
"""Proofs that need not hold without --strict: a template of one's own makes the prompts that it makes."""

_FIELD_OF_CARD = re.compile(r'^(\w+): (".*")$', re.MULTILINE)
CASE = "case: "
"""The beginning of the name of a proof that is a case."""


def prove_sums(folder: Path, progress: Progress | None = None) -> ProofResult:
    """Prove that SHA256SUMS is the list of every file of a release, byte for byte.

    Raises:
        ProofError: SHA256SUMS is missing, has another digest for a file, or lacks a file.
    """
    expected = {}
    for path in sorted(folder.iterdir()):
        if path.name not in (SUMS, SIGNATURE):
            if not path.is_file():
                raise _lie(f"{path.name} does not belong to a release", folder)
            expected[path.name] = sha256_of_file(path, progress).removeprefix("sha256:")
    text = "".join(f"{digits}  {name}\n" for name, digits in expected.items())
    try:
        found = read_small(folder / SUMS)
    except OSError as error:
        raise _lie(f"{SUMS} is missing or cannot be read, so the release was not finished", folder) from error
    if found != text.encode():
        told = dict(line[::-1].partition("  ")[::2] for line in found.decode("utf-8", "replace").split("\n"))
        told = {name[::-1]: digits[::-1] for name, digits in told.items()}
        wrong = [name for name, digits in expected.items() if told.get(name) != digits]
        more = [name for name in told if name and name not in expected]
        names = ", ".join((*wrong, *more))
        raise _lie(f"{SUMS} does not match {names}" if names else f"{SUMS} has an unusual form", folder)
    digest = hashlib.sha256(found).hexdigest()
    summary = f"{len(expected)} files as {SUMS} says, whose own digest is sha256:{digest}"
    return ProofResult("sums", passed=True, figure=0.0, limit=0.0, summary=summary)


def prove_papers(folder: Path) -> ProofResult:
    """Prove that every paper of a release names the files, the base and the proofs that the release has.

    Raises:
        ProofError: a paper names another digest, another model, another base or another outcome.
        InputError: a paper is damaged.
    """
    with file_errors(folder / RECORD):
        return _papers(folder)


def _papers(folder: Path) -> ProofResult:
    """Compare the papers with the files; a value of an unexpected type raises an error of Python."""
    record, lock = read_json_object(folder / RECORD), read_json_object(folder / LOCK)
    files = {each["name"]: each["sha256"] for each in _objects(record.get("files"))}
    there = {path.name for path in folder.iterdir()} - PAPERS
    _same(sorted(there ^ set(files)), [], folder / RECORD, "the files")
    actual = {name: sha256_of_file(folder / name).removeprefix("sha256:") for name in files}
    _same(files, actual, folder / RECORD, "the files")
    for key in ("manifest", "blob", "tag", "source_id", "architecture"):
        _same(
            _value_at(record, "base", key),
            _value_at(lock, "base", key),
            folder / RECORD,
            f"{key} of the base",
        )
    _same(
        _value_at(record, "adapter", "sources"),
        _value_at(lock, "adapter", "sources"),
        folder / RECORD,
        "the adapter",
    )
    _same(_full_name(record.get("model")), _full_name(lock.get("model")), folder / RECORD, "the model")
    _prove_form(record, lock, folder)
    _prove_card(record, folder)
    for name in STATEMENTS:
        statement = read_json_object(folder / name)
        subjects = {
            each["name"]: _value_at(each, "digest", "sha256") for each in _objects(statement.get("subject"))
        }
        _same(subjects, files, folder / name, "the subjects")
    _prove_test_result(record, folder)
    _prove_dependencies(lock, folder)
    _prove_bom(record, folder)
    passed = [str(each["proof"]) for each in _objects(record.get("proofs")) if each.get("passed") is True]
    cases = [each for each in passed if each.startswith(CASE)]
    passed = [*(each for each in passed if each not in cases), *([f"{len(cases)} cases"] if cases else [])]
    summary = f"{len(STATEMENTS) + 2} papers say what is in the files; recorded: {', '.join(passed)}"
    return ProofResult("papers", passed=True, figure=0.0, limit=0.0, summary=summary)


def _prove_form(record: Mapping[str, Any], lock: Mapping[str, Any], folder: Path) -> None:
    """Require that a record has the right form of the model, and the right sizes of its files."""
    path, merged = folder / RECORD, _value_at(lock, "merged", "gguf") is not None
    _same((record.get("kind"), record.get("schema_version")), ("release", 1), path, "its own kind")
    _same(record.get("form"), "merged" if merged else "adapter", path, "the form of the model")
    _same(_value_at(record, "options", "merge"), merged, path, "the form of the model")
    _same(record.get("kept") is not None, merged, path, "what is kept of the adapter")
    for each in _objects(record.get("files")):
        _same(
            each.get("bytes"),
            (folder / str(each["name"])).stat().st_size,
            path,
            f"the size of {each['name']}",
        )


def _prove_card(record: Mapping[str, Any], folder: Path) -> None:
    """Require that the model card names the base, a licence of the record and the files."""
    path = folder / CARD_OF_RELEASE
    try:
        _, front, body = read_small(path).decode("utf-8").split("---\n", 2)
        told = {key: parse_json(value) for key, value in _FIELD_OF_CARD.findall(front)}
    except ValueError as error:
        raise _lie(f"{path.name} is no model card", path) from error
    source = _value_at(record, "base", "source_id") or _value_at(record, "adapter", "trained_on")
    relation = "finetune" if record.get("form") == "merged" else "adapter"
    known = {"base_model": source, "base_model_relation": relation if source else ""}
    _same({key: told.get(key, "") for key in known}, known, path, "the base")
    _same(told.get("library_name"), "gguf", path, "what the files are")
    licences = {_value_at(record, "licenses", whose) or "" for whose in ("adapter", "base")}
    _same(told.get("license", "") in {*licences, ""}, True, path, "the licence")
    _same("license" in told, licences != {""}, path, "the licence")
    digests = sorted(each["sha256"] for each in _objects(record.get("files")))
    _same(sorted(re.findall(r"\b[0-9a-f]{64}\b", body)), digests, path, "the files")


def _prove_test_result(record: Mapping[str, Any], folder: Path) -> None:
    """Require that the test result has the proofs of the record; only those of prompts may have failed."""
    path = folder / STATEMENTS[1]
    told = _value_at(read_json_object(path), "predicate")
    proofs = _objects(record.get("proofs"))
    held = [each["proof"] for each in proofs if each.get("passed") is True]
    others = [each["proof"] for each in proofs if each.get("passed") is not True]
    _same(_value_at(told, "passedTests"), held, path, "the proofs")
    _same(_value_at(told, "warnedTests"), [*others, *(record.get("not_proved") or ())], path, "the rest")
    _same(_value_at(told, "failedTests"), [], path, "the proofs")
    accepted = set() if _value_at(record, "options", "strict") else ACCEPTED
    _same(sorted(set(others) - accepted), [], folder / RECORD, "the proofs")
    digest = sha256_of_file(folder / RECORD).removeprefix("sha256:")
    tested = _objects(_value_at(record, "cases", "files") or [])
    known = [(RECORD, digest), *((each["name"], each["sha256"]) for each in tested)]
    configuration = _objects(_value_at(told, "configuration"))
    named = [(each.get("name"), _value_at(each, "digest", "sha256")) for each in configuration]
    _same(named, known, path, "the record")
    cases = [each for each in proofs if str(each["proof"]).startswith(CASE)]
    _same(bool(cases), "cases" in record, folder / RECORD, "the cases")


def _prove_dependencies(lock: Mapping[str, Any], folder: Path) -> None:
    """Require that the provenance names every file of the adapters and the base, with their digests."""
    path = folder / STATEMENTS[0]
    definition = _value_at(read_json_object(path), "predicate", "buildDefinition")
    told = {
        _value_at(each, "digest", "sha256")
        for each in _objects(_value_at(definition, "resolvedDependencies"))
    }
    needed = {
        digest for files in _objects(_value_at(lock, "adapter", "sources")) for digest in files.values()
    }
    needed |= {_value_at(lock, "base", key) for key in ("manifest", "blob")} - {"", None}
    missing = {str(digest).removeprefix("sha256:") for digest in needed} - told
    _same(sorted(missing), [], path, "what the model was made of")


def _prove_bom(record: Mapping[str, Any], folder: Path) -> None:
    """Require that the bill of materials has the files and the base, with their digests."""
    path = folder / BOM
    bom = read_json_object(path)
    hashes = {
        each.get("name"): [_value_at(one, "content") for one in _objects(each.get("hashes", []))]
        for each in _objects(bom.get("components"))
    }
    for each in _objects(record.get("files")):
        _same(hashes.get(each["name"]), [each["sha256"]], path, str(each["name"]))
    blob = str(_value_at(record, "base", "blob")).removeprefix("sha256:")
    ancestors = _objects(_value_at(bom, "metadata", "component", "pedigree", "ancestors"))
    found = [_value_at(one, "content") for each in ancestors for one in _objects(each.get("hashes", []))]
    _same(found, [blob] if blob else [], path, "the base")


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    """Return a value as a list of objects; raise a ProofError for anything else."""
    if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        return value
    raise _lie("one of its papers has a list of another form than expected", "")


def _value_at(value: object, *keys: str) -> Any:  # noqa: ANN401 — a value of JSON
    """Return a value inside objects, or None if it is not there."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _full_name(name: object) -> str:
    """Return the name of a model as Ollama compares it: in lower case, with the parts that are implied."""
    parts = str(name).lower().split("/")
    whole = [*("registry.ollama.ai", "library")[: max(0, 3 - len(parts))], *parts]
    return "/".join(whole) if ":" in whole[-1] else "/".join((*whole[:-1], f"{whole[-1]}:latest"))


def _same(told: object, actual: object, path: Path, what: str) -> None:
    """Require that a paper says what is true."""
    if told != actual:
        raise _lie(f"{path.name} is wrong about {what}", path)


def _lie(what: str, where: object) -> ProofError:
    """Return the error for a release whose files and papers do not agree."""
    return ProofError(
        f"The release is not whole: {what}.",
        where=where,
        hint="make the release again, or copy its folder again",
        code="not-as-recorded",
    )
