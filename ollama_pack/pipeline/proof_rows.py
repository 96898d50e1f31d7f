"""The proofs of `verify`: each returns a `ProofResult`, or raises an error that says why there is none.

A ProofError or an InputError means that the proof failed, a DestinationError that it cannot be made here.
"""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError, InputError, PackError, ProofError, UsageError
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.ollama.address import may_answer
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.lock import LOCK_NAME, describe_base_change
from ollama_pack.pipeline.output_dir import adapter_home, holds_adapter
from ollama_pack.pipeline.prompt.verdict import PromptVerdict, require_prompt
from ollama_pack.pipeline.release.evidence import Record, modelfile_fault, record_of_folder
from ollama_pack.pipeline.request import Request
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Gate, Package
    from ollama_pack.gguf.model_info import ModelInfo
    from ollama_pack.ollama.daemon import Daemon

Row: TypeAlias = tuple[str, Callable[[], ProofResult]]
"""The name of a proof, and the function that makes it."""


def require_recorded(prove: Callable[[], ProofResult], folder: Path) -> ProofResult:
    """Return a result that passed; raise a ProofError that names the file otherwise."""
    result = prove()
    if not result.passed:
        raise ProofError(f"{result.summary}.", where=folder, code="not-as-recorded")
    return result


def record_rows(folder: Path, progress: Progress | None) -> Iterable[Row]:
    """Yield the proofs that compare the files of a folder with its lock."""
    from ollama_pack.verify.recorded_files import prove_files

    def unrecorded() -> ProofResult:
        raise DestinationError(f"There is no {LOCK_NAME} in {folder}, so nothing says what was built.")

    record = None
    try:
        record = record_of_folder(folder)
    except InputError as error:
        damaged = error

        def fail() -> ProofResult:
            raise damaged

        yield "files", fail
        return
    if record is None:
        yield "files", unrecorded
        return
    yield "files", partial(require_recorded, partial(prove_files, record.files, progress), folder)
    yield "modelfile", partial(_prove_recorded_modelfile, record, folder)


def prove_numbers_of(package: "Package", folder: Path) -> ProofResult:
    """Return that every number of a GGUF LoRA file in a folder is finite.

    Raises:
        ProofError: one is not.
        DestinationError: the adapter is merged, and its numbers were proved when it was.
    """
    from ollama_pack.verify.finite import prove_finite

    if package.adapter is None:
        raise DestinationError(
            "A merged model is compared with its base and its adapter when it is written; afterwards its "
            "digest proves that it is the same file."
        )
    return require_recorded(partial(prove_finite, package.adapter.path), folder)


def _prove_recorded_modelfile(record: Record, folder: Path) -> ProofResult:
    """Return that the Modelfile of a folder is the recorded one; raise a ProofError otherwise."""
    fault = modelfile_fault(record)
    if fault:
        raise ProofError(
            f"{MODELFILE_NAME} is not the recorded one: {fault}.", where=folder, code="not-as-recorded"
        )
    return ProofResult(
        "modelfile", passed=True, figure=0.0, limit=0.0, summary=f"{MODELFILE_NAME}: as recorded"
    )


def not_as_recorded(folder: Path, error: PackError) -> PackError:
    """Return the error of a folder that is not as recorded, with what helps."""
    home = adapter_home(folder)
    again = (
        f"ollama-pack build {shlex.quote(str(home))}"
        if holds_adapter(home)
        else "build the model again, or copy the folder again"
    )
    accept = f"if the change is yours, delete {LOCK_NAME}: then nothing is compared with it"
    return ProofError(error.what, where=error.where, hint=f"{again}; {accept}", code="not-as-recorded")


def prove_base_of(
    package: "Package", record: Record | None, locations: OllamaLocations, progress: Progress | None = None
) -> ProofResult:
    """Return that the base at hand is the recorded one, and the one that the adapter was trained on.

    Args:
        package: the package of a build's folder.
        record: what its lock says, or None if there is no lock.
        locations: the daemon and the stores that may have the base.
        progress: called while a GGUF base is read.

    Raises:
        ProofError: the base is another one.
        DestinationError: the base is not here.
    """
    from ollama_pack.base.installed import look_up
    from ollama_pack.disk.files import sha256_of_file
    from ollama_pack.gguf.model_info import read_model_info

    base = package.base
    if base.gguf is not None:
        info, blob, manifest = base.info, sha256_of_file(base.gguf, progress), ""
        info = info or read_model_info(base.gguf, "")
    else:
        try:
            seen = look_up(locations, parse_name(base.tag))
        except UsageError as error:
            raise DestinationError(f"The base {base.tag} is not installed here.") from error
        except InputError as error:  # Ollama may know a format that is unknown here.
            raise DestinationError(f"The base {base.tag} cannot be read: {error.clause}.") from error
        info, blob, manifest = seen.seen, seen.blob, seen.digest
    recorded = {"base": record.base} if record else {}
    change = describe_base_change(recorded, base.tag, blob=blob, manifest=manifest)
    if change and "moved" not in package.trained.accepted:
        raise ProofError(
            f"moved: {change}.",
            where=base.gguf or base.tag,
            hint="pull or import the weights of the build again; to accept these, --base-mismatch-ok moved",
            code="base-mismatch",
        )
    return prove_base_info(package, info)


def prove_base_info(package: "Package", info: "ModelInfo") -> ProofResult:
    """Return the proof that a base agrees with the one in training; raise a ProofError for a mismatch."""
    from ollama_pack.verify.base import compare_base, require_no_mismatch

    mismatches = compare_base(package.trained, package.adapter_header(), info)
    agreed, *doubts = require_no_mismatch(package.trained, mismatches, info)
    summary = "; ".join([agreed.partition(": ")[2], *doubts])
    return ProofResult("base", passed=True, figure=0.0, limit=0.0, summary=summary)


def prove_prompt_of(verdict: PromptVerdict, request: Request) -> ProofResult:
    """Return the proof of the prompts of a model.

    Raises:
        ProofError: a prompt differs, and the request is strict.
        DestinationError: the proof cannot be made.
    """
    if verdict.result is None:
        raise DestinationError(f"{verdict.why[:1].upper()}{verdict.why[1:]}.")
    if request.strict:
        require_prompt(verdict, request.directory)
    return verdict.result


def prove_load_of_folder(
    package: "Package",
    request: Request,
    locations: OllamaLocations,
    with_prompts: "Callable[[Gate], Gate]",
    progress: Progress | None,
) -> ProofResult:
    """Let a daemon that has the base load the model under a temporary name, and ask it for its prompts.

    Where none answers, llama.cpp loads it, if the user asks for that.
    """
    from ollama_pack.base.installed import base_with_file
    from ollama_pack.deliver.registration import prove_with_daemon
    from ollama_pack.disk.files import sha256_of_file
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.pipeline.load_gate import loads_here

    if loads_here(request, locations):
        return _load_in_llama(
            package, request, base_with_file(locations, package.merged_from or package.base).gguf
        )
    _require_daemon(request, locations)
    results: list[ProofResult] = []
    gate = with_prompts(_load_gate(request, results))
    with Daemon(locations.address) as daemon:
        gguf, tag = package.base.gguf, package.base.tag
        daemon.version()
        if not (daemon.has_blob(sha256_of_file(gguf)) if gguf else daemon.show(tag)):
            raise DestinationError(f"The daemon does not have the base {gguf.name if gguf else tag}.")
        prove_with_daemon(replace(package, gate=gate), daemon, progress)
    return results[0]


def prove_load_of_installed(
    package: "Package",
    request: Request,
    locations: OllamaLocations,
    with_prompts: "Callable[[Gate], Gate]",
    base: Path | None,
) -> ProofResult:
    """Let the daemon load an installed model, and ask it for its prompts.

    Where none answers, llama.cpp loads it beside the blob of its base, if the user asks for that.
    """
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.pipeline.load_gate import loads_here

    if loads_here(request, locations):
        return _load_in_llama(package, request, base)
    _require_daemon(request, locations)
    results: list[ProofResult] = []
    with Daemon(locations.address) as daemon:
        daemon.version()
        if daemon.show(package.name.display) is None:
            raise DestinationError("The daemon does not have the model.")
        with_prompts(_load_gate(request, results))(package, daemon)
    return results[0]


def _load_in_llama(package: "Package", request: Request, base: Path | None) -> ProofResult:
    """Let llama.cpp load a model; where it is not installed, or has no base, the proof is not made."""
    from ollama_pack.pipeline.load_here import prove_load_here

    try:
        return prove_load_here(package, base, allow_noop=request.allow_noop)
    except UsageError as error:
        raise DestinationError(error.what, where=error.where, hint=error.hint, code=error.code) from error


def _load_gate(request: Request, results: list[ProofResult]) -> "Gate":
    """Return the load proof, which adds its result to a list."""
    from ollama_pack.deliver.load_check import check_load

    def prove(package: "Package", daemon: "Daemon") -> None:
        results.append(check_load(package, daemon, allow_noop=request.allow_noop))

    return prove


def _require_daemon(request: Request, locations: OllamaLocations) -> None:
    """Raise DestinationError if the load proof is left out, or if no daemon may answer."""
    if not request.load:
        raise DestinationError("Left out by --no-load.")
    if not may_answer(locations.address):
        raise DestinationError("No Ollama daemon answers.", where=locations.shown)
