"""A base that is a GGUF file: it has no name that others know, so it is a file of the release in a registry.

Modelfile.txt names it ``./base.gguf`` there, as the lock does, so that no path of this machine is published.
"""

import os
from pathlib import Path

from ollama_pack.deliver.package import Package
from ollama_pack.disk.files import Progress, sha256_of_file
from ollama_pack.errors import UsageError
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.modelfile.file import read_modelfile
from ollama_pack.modelfile.syntax import print_modelfile
from ollama_pack.ollama.locations import locations_from
from ollama_pack.ollama.manifest import Layer, inline_layer
from ollama_pack.pipeline.lock import with_base_path
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.proof_rows import prove_base_of
from ollama_pack.pipeline.release.evidence import record_of_folder
from ollama_pack.pipeline.release.papers.licences import license_name
from ollama_pack.pipeline.release.papers.names import BASE_FILE
from ollama_pack.pipeline.request import Request


def file_layers(
    package: Package, base: Path, request: Request, progress: Progress | None
) -> dict[str, Layer]:
    """Return a base that is a file as a file of the release, and the Modelfile that names it there.

    Args:
        package: the model.
        base: the file.
        request: what the user asks for; its directory has the lock of the build.
        progress: called while the file is read.

    Raises:
        ProofError: the base is not the one of the build.
    """
    folder = built_folder(request.directory)
    locations = locations_from(os.environ, folder, request.store)
    prove_base_of(package, record_of_folder(folder), locations, progress)
    modelfile = read_modelfile(folder)
    assert modelfile is not None, "the package was read from it"
    content = print_modelfile(with_base_path(modelfile, folder)).encode()
    whole = Layer("", sha256_of_file(base, progress), base.stat().st_size, file=base)
    return {MODELFILE_NAME: inline_layer("", content), BASE_FILE: whole}


def license_of_base(package: Package) -> str:
    """Return what to tell of the licence of a base that is sent as a file, or an empty text."""
    if package.adapter is None or package.base.gguf is None:
        return ""
    named = license_name(package.base.info.metadata.get("general.license")) if package.base.info else ""
    if named:
        return f"the base is sent too; by its header, its licence is {named}"
    if package.licenses:
        return ""
    return "the base is sent too, and nothing says its licence; add it as LICENSE to Modelfile.txt"


def refuse_base_without_tag(package: Package) -> None:
    """Require that the base has a name in Ollama, by which whoever pulls the model can get it.

    Raises:
        UsageError: the base is a file that stays on this machine.
    """
    if package.adapter is not None and package.base.gguf is not None:
        raise UsageError(
            "The base is a file on this machine, which those who pull the model do not have.",
            where=package.base.gguf,
            hint="--with-base  sends it too; or build again with --base and an Ollama model",
            code="base-is-a-file",
        )
