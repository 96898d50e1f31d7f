"""Registers the files of an earlier build, and proves that the daemon loads the model."""

import contextlib
import os
from dataclasses import replace

from ollama_pack.deliver.package import Receipt
from ollama_pack.disk.files import Note, Progress, require_directory
from ollama_pack.disk.known_digests import read_once
from ollama_pack.disk.locks import folder_lock
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.locations import locations_from
from ollama_pack.pipeline.load_gate import load_gate, loads_here
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.prompt.built import prompts_of_folder
from ollama_pack.pipeline.prompt.gate import prompt_gate
from ollama_pack.pipeline.prompt.verdict import require_prompt
from ollama_pack.pipeline.proof_rows import prove_base_of
from ollama_pack.pipeline.release.evidence import record_of_folder
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.verify import check_folder


@read_once()
def register(request: Request, note: Note = silent, progress: Progress | None = None) -> Receipt:
    """Register the files of an earlier build with Ollama, without converting anything again.

    Args:
        request: what the user asks for; its directory is the folder with the files.
        note: called after each stage, with the name of the stage and the value that it made.
        progress: called while bytes are written or sent.

    Raises:
        InputError: the folder lacks Modelfile.txt or the GGUF LoRA it names, or they are damaged.
        DestinationError: no delivery works.
        ProofError: the files are not those that the lock records, a number is not finite, the base is another
            one, the model does not load or answers as its base does, or the daemon renders other prompts
            than were computed; with `strict` also if a prompt differs.

    Example:
        >>> from ollama_pack import Request, build, register
        >>> base, folder = "smollm2:135m", "release"
        >>> outcome = build(Request(directory="ada-lovelace-lora", base=base, via="folder", out=folder))
        >>> receipt = register(Request(directory="release", name="ada", via="folder"))
        >>> receipt.name
        'ada'
    """
    from ollama_pack.base.installed import base_with_file
    from ollama_pack.deliver import choose

    require_directory(request.directory)
    locations = locations_from(os.environ, request.out or request.directory, request.store)
    with folder_lock(built_folder(request.directory), progress):
        package, _ = check_folder(built_folder(request.directory), request, note, progress)
        note("read", package.adapter or package.file)
        record = record_of_folder(built_folder(request.directory))
        if record is not None and package.adapter is not None:
            with contextlib.suppress(DestinationError):  # The delivery brings the base, or says why not.
                prove_base_of(package, record, locations, progress)
        prompts = prompts_of_folder(package, built_folder(request.directory), locations, request.via)
        if request.strict:
            require_prompt(prompts, request.directory)
        note("prompt", prompts)
        if loads_here(request, locations):
            from ollama_pack.pipeline.load_here import prove_load_here

            file = base_with_file(locations, package.merged_from or package.base).gguf
            note("proof", prove_load_here(package, file, allow_noop=request.allow_noop))
        gate = load_gate(request, note)
        package = replace(package, gate=gate and prompt_gate(gate, prompts, note, strict=request.strict))
        receipt = choose.deliver(package, locations, via=request.via, progress=progress)
        note("register", receipt)
    return receipt
