"""Converts an adapter: writes the GGUF LoRA file, and proves its numbers before the file gets its name."""

from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.disk.files import Note
from ollama_pack.lora.plan import LoraFile
from ollama_pack.pipeline.prepare import silent
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.pipeline.prepare import BuildPlan


def convert(work: "BuildPlan", path: Path, outtype: str, note: Note = silent) -> tuple[LoraFile, ProofResult]:
    """Write the GGUF LoRA file and prove its numbers; a file that fails the proof is deleted.

    See "A proof runs before a file gets its name" in docs/decisions.md.

    Raises:
        InputError: a weight is NaN or infinite.
        UnsupportedError: a weight is too large for the type.
        ProofError: the ΔW of the file is not that of the adapter.
        DestinationError: the file cannot be written.
        RefusedError: another kind of file has that path.
    """
    from ollama_pack.lora.export import require_replaceable, write_lora
    from ollama_pack.verify.numbers import prove_numbers, require_passed

    require_replaceable(path)
    results: list[ProofResult] = []

    def check(draft: Path) -> None:
        results.append(require_passed(prove_numbers(work.adapter, work.base, draft), path))

    lora = write_lora(work.plan, path, outtype, check)
    note("convert", lora)
    note("proof", results[0])
    return lora, results[0]
