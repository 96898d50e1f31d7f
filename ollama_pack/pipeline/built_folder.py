"""Reads the files of an earlier build into a package: the Modelfile, the GGUF LoRA file and the base."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.find import is_path
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.lookup import find_tag, find_variant
from ollama_pack.base.missing_file import require_from_file
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Package, make_package
from ollama_pack.disk.files import require_directory, sha256_of_file, user_path
from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import MERGED_ADAPTER
from ollama_pack.gguf.ggml_types import TENSOR_TYPES
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.split import require_one_file
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.modelfile.file import read_modelfile
from ollama_pack.ollama.manifest import is_digest
from ollama_pack.ollama.names import ModelName
from ollama_pack.pipeline.inputs import expected_base
from ollama_pack.pipeline.lock import placed_sizes, read_lock
from ollama_pack.pipeline.naming import model_name
from ollama_pack.pipeline.output_dir import adapter_home, built_folder
from ollama_pack.pipeline.request import Request


def read_release(request: Request) -> Package:
    """Return the package of a build's folder, with what is known of the base that it was trained on.

    Raises:
        InputError: Modelfile.txt or the GGUF LoRA it names is missing or damaged.
        ProofError: by its name, the base is not the one that the adapter was trained on, or with `strict` it
            may be another one.
    """
    folder = built_folder(request.directory)
    package = read_package(folder, model_name(request))
    trained = expected_base(adapter_home(folder), base_id_of(package.file), request, os.environ)
    if package.adapter is None:  # Its base was compared before the adapter was merged into it.
        return replace(package, trained=trained)
    lock = read_lock(folder)
    made = lock.get("adapter")
    own = isinstance(made, Mapping) and made.get("gguf") == package.adapter.digest
    trained = replace(trained, placed=placed_sizes(lock) if own else None)
    return replace(
        package, trained=replace(trained, notes=(*trained.notes, *_named_base_notes(package.base, trained)))
    )


def _named_base_notes(base: BaseModel, trained: ExpectedBase) -> list[str]:
    """Return a note for each mismatch that the name of a base shows, before the base is opened.

    Raises:
        ProofError: it is not the base that the adapter was trained on, or with `strict` it may be another.
    """
    from ollama_pack.verify.base_mismatch import stop_at_mismatches
    from ollama_pack.verify.base_named import compare_named_base

    entry = find_tag(base.tag) or find_variant(base.tag) if base.tag else None
    named = replace(base, source_id=entry.source_id) if entry is not None else base
    return stop_at_mismatches(trained, compare_named_base(trained, named), base.tag or "the base")


def base_id_of(path: Path) -> str:
    """Return the Hugging Face id of the base that a GGUF LoRA file names, or an empty text."""
    header = read_gguf(path)
    parts = [header.text(f"general.base_model.0.{part}") for part in ("organization", "name")]
    return "/".join(filter(None, parts))


def read_package(folder: Path, name: ModelName) -> Package:
    """Return the package of a build's folder: Modelfile.txt and the GGUF file that it names.

    That is the GGUF LoRA file that ADAPTER names, or without ADAPTER the merged model that FROM names.

    Raises:
        InputError: one of them is missing or damaged, or ADAPTER names another kind of file.
    """
    require_directory(folder)
    modelfile = read_modelfile(folder)
    if modelfile is None:
        raise InputError(
            f"There is no {MODELFILE_NAME} here.",
            where=folder,
            hint="ollama-pack build DIR --via folder --out FOLDER  makes such a folder",
            code="no-release",
        )
    source = modelfile.value("FROM")
    path = folder / user_path(source)
    is_file = is_path(source, path)
    if not modelfile.value("ADAPTER") and is_file and path.is_file():
        base = read_base_gguf(path)
        if base.info is not None and MERGED_ADAPTER in base.info.metadata:
            return replace(
                make_package(name, modelfile, None, base), merged_from=_recorded_base(folder, base)
            )
    if not modelfile.value("ADAPTER"):
        raise InputError(
            "There is no ADAPTER line.", where=modelfile.where, hint="ollama-pack build DIR  sets it"
        )
    lora = read_lora(folder / modelfile.value("ADAPTER"))
    if is_file:
        require_from_file(source, path)
        base = read_base_gguf(path)
        require_one_file(path, base.info.metadata if base.info else {})
        return make_package(name, modelfile, lora, base)
    arch = read_gguf(lora.path).text("general.architecture")
    base = BaseModel(
        hparams=HParams(arch=arch, blocks=0, heads=0, kv_heads=0, head_dim=0, hidden=0),
        tag=source,
        origin=MODELFILE_NAME,
    )
    return make_package(name, modelfile, lora, base)


def _recorded_base(folder: Path, base: BaseModel) -> BaseModel:
    """Return the base that a merged file was made of, as far as the lock knows it."""
    recorded = read_lock(folder).get("base")
    known = recorded if isinstance(recorded, Mapping) else {}
    blob = str(known.get("blob") or "")
    return BaseModel(
        hparams=base.hparams,
        tag=str(known.get("tag") or ""),
        source_id=str(known.get("source_id") or ""),
        origin="lock",
        recorded_blob=blob if is_digest(blob) else "",
    )


def read_lora(path: Path) -> LoraFile:
    """Return an existing GGUF LoRA file; it is read in full for its digest.

    Raises:
        InputError: the file is missing or damaged, or it is not a GGUF LoRA.
    """
    header = read_gguf(path)
    if header.text("general.type") != "adapter":
        raise InputError(
            "The file is not a GGUF LoRA.",
            where=f"{path}: general.type",
            hint="ADAPTER must name a GGUF LoRA file",
        )
    for name, kind in header.types.items():
        if kind in TENSOR_TYPES:
            header.stored(name)  # raises InputError if the file is truncated
    types = {TENSOR_TYPES.get(kind, "other").lower() for kind in header.types.values()}
    outtype = types.pop() if len(types) == 1 else "mixed"
    return LoraFile(path=path, digest=sha256_of_file(path), size=path.stat().st_size, outtype=outtype)
