"""Whether a release is still the one that its inputs make, so that a batch makes only what changed."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ollama_pack import __version__
from ollama_pack.base.installed import look_up
from ollama_pack.disk.files import Progress, os_errors_as_destination_error, read_json_object, sha256_of_file
from ollama_pack.errors import DestinationError, InputError, PackError
from ollama_pack.ollama.locations import locations_from
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.lock import LOCK_NAME
from ollama_pack.pipeline.naming import model_name
from ollama_pack.pipeline.output_dir import holds_adapter, is_output
from ollama_pack.pipeline.release.gate import digests_of_cases
from ollama_pack.pipeline.release.papers.names import RECORD_NAME, REPORT_NAME, is_release
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.trial.cases import CaseFile, read_cases

_NOT_THE_MODEL = ("directory", "others", "out", "store", "via", "name", "base", "template")
"""Fields of a request that are paths or names; what they lead to counts, and not where it lies."""


def digest_of_inputs(
    request: Request, *, report: bool, progress: Progress | None = None, cases: CaseFile | None = None
) -> str:
    """Return a digest of all that a release is made of, but for an installed base.

    Args:
        request: what the user asks for.
        report: whether the release has a report.
        progress: called while files are read.
        cases: the cases that it must hold, or None.

    Raises:
        DestinationError: a file cannot be read.
    """
    fields = {name: getattr(request, name) for name in request.__slots__ if name not in _NOT_THE_MODEL}
    told: dict[str, Any] = {
        "ollama_pack": __version__,
        "report": report,
        "model": str(model_name(request)),
        "fields": fields,
        "base": _path_or_text(request.base),
        "template": _path_or_text(request.template),
        "files": [_files_below(directory, request.out, progress) for directory in request.directories],
    }
    if cases is not None:
        told["cases"] = digests_of_cases(cases)
    return f"sha256:{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}"


def digest_with_base(inputs: str, request: Request, tag: str) -> str:
    """Return a digest of inputs together with the manifest of the base that a model was merged into.

    The record of an adapter names that manifest; a merged model has only the weights from there, and yet its
    Modelfile.txt and its licences follow the base's.

    Args:
        inputs: the digest of all else.
        request: what the user asks for.
        tag: the Ollama model that is the base, or an empty text.
    """
    if not (request.merge and tag):
        return inputs
    return f"sha256:{hashlib.sha256(f'{inputs} {_manifest_of(tag, request)}'.encode()).hexdigest()}"


def unchanged_release(
    request: Request, *, report: bool, progress: Progress | None = None, cases: Path | None = None
) -> dict[str, Any]:
    """Return the record of the release that a request would only make again, or an empty object.

    Its inputs, its base and every one of its files are those that it records. It is not proved again.

    Args:
        request: what the user asks for; its `out` is the folder of the release.
        report: whether the release has a report.
        progress: called while files are read.
        cases: the file of cases that it must hold, or None.
    """
    from ollama_pack.verify.release_papers import prove_sums

    folder = request.out
    if folder is None or not is_release(folder) or (folder / REPORT_NAME).exists() is not report:
        return {}
    try:
        record = dict(read_json_object(folder / RECORD_NAME))
        gate = read_cases(cases) if cases is not None else None
        inputs = digest_of_inputs(request, report=report, progress=progress, cases=gate)
        if record.get("inputs") != digest_with_base(inputs, request, _tag_of_base(record)):
            return {}
        prove_sums(folder, progress)
        return record if request.merge or _has_its_base(record, request) else {}
    except PackError:  # what is wrong is reported when the release is made
        return {}


def _has_its_base(record: dict[str, Any], request: Request) -> bool:
    """Return whether the base of a release is installed as it was, or was as unknown as it is now."""
    tag = _tag_of_base(record)
    return not tag or bool(record["base"].get("manifest") == _manifest_of(tag, request))


def _tag_of_base(record: dict[str, Any]) -> str:
    """Return the Ollama model that a record names as the base, or an empty text."""
    base = record.get("base")
    return str(base.get("tag") or "") if isinstance(base, dict) else ""


def _manifest_of(tag: str, request: Request) -> str:
    """Return the digest of the manifest of an installed model, or an empty text if there is none."""
    try:
        return f"sha256:{look_up(locations_from(os.environ, None, request.store), parse_name(tag)).digest}"
    except (InputError, DestinationError):
        return ""


def _path_or_text(value: str | None) -> str | None:
    """Return the digest of the file that a value names, or the value itself."""
    if not value or len(value) > 1000 or "\0" in value or not Path(value).is_file():
        return value
    return sha256_of_file(Path(value))


def _files_below(directory: Path, out: Path | None, progress: Progress | None) -> dict[str, str]:
    """Return the digest of every file of a run, without hidden ones and without what a build wrote."""
    found: dict[str, str] = {}
    with os_errors_as_destination_error(directory):
        for place, folders, names in os.walk(directory):
            here = Path(place)
            folders[:] = [
                name for name in folders if not name.startswith(".") and not is_made_by_us(here / name, out)
            ]
            for name in names:
                path = here / name
                if not name.startswith(".") and path.is_file():
                    found[path.relative_to(directory).as_posix()] = sha256_of_file(path, progress)
    return found


def is_made_by_us(directory: Path, out: Path | None) -> bool:
    """Return whether a build or a release wrote a directory, so that it is no input of the next one.

    Args:
        directory: the directory.
        out: the folder of the release that is made, or None.
    """
    recorded = (directory / LOCK_NAME).is_file() and not holds_adapter(directory)
    return recorded or is_output(directory) or _leads_to(directory, out)


def _leads_to(path: Path, other: Path | None) -> bool:
    """Return whether two paths lead to one directory."""
    return other is not None and path.resolve() == other.resolve()
