"""PACK  Modelfile × GGUF LoRA × Base → Package; or read all three from the folder a build left."""

from pathlib import Path

from ollama_pack.agreement import Trained
from ollama_pack.bases.find import is_path
from ollama_pack.bases.gguf_file import read_base_gguf
from ollama_pack.destinations.package import Package
from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.files import digest_of, explained, read_small, whole_file
from ollama_pack.gguf_io.layout import TENSOR_TYPES
from ollama_pack.gguf_io.read import read_gguf
from ollama_pack.gguf_io.split import require_whole
from ollama_pack.modelfile import FILE_NAME, Modelfile, decode, parameters, parse, print_modelfile
from ollama_pack.names import ModelName
from ollama_pack.parts import Base, LoraFile, Note


def pack(
    name: ModelName, said: Modelfile, lora: LoraFile, base: Base, trained: Trained | None = None
) -> Package:
    """Return the model a Modelfile describes, ready to be put somewhere.

    Args:
        name: what the model will be called.
        said: the Modelfile.
        lora: the file its ADAPTER names.
        base: what its FROM names.
        trained: what is known of the base that the adapter was trained on.
    """
    return Package(
        name=name,
        adapter=lora,
        base=base,
        template=said.value("TEMPLATE"),
        system=said.value("SYSTEM"),
        parameters=parameters(said),
        messages=tuple({"role": role, "content": content} for role, content in said.messages),
        licenses=said.values("LICENSE"),
        renderer=said.value("RENDERER"),
        parser=said.value("PARSER"),
        requires=said.value("REQUIRES").removeprefix("v"),
        modelfile_text=print_modelfile(said),
        trained=trained or Trained(),
    )


def read_package(folder: Path, name: ModelName) -> Package:
    """Return what a build left in a folder: Modelfile.txt and the GGUF LoRA its ADAPTER names.

    Raises:
        InputError: one of them is missing or damaged, or ADAPTER names something else.
    """
    if not folder.is_dir():
        raise InputError("There is no such directory.", where=folder)
    said = read_author(folder)
    if said is None:
        raise InputError(
            f"There is no {FILE_NAME} here.",
            where=folder,
            hint="ollama-pack build DIR --via folder --out FOLDER  makes such a folder",
        )
    if not said.value("ADAPTER"):
        raise InputError("There is no ADAPTER line.", where=said.where, hint="ollama-pack build DIR  sets it")
    lora = read_lora(folder / said.value("ADAPTER"))
    source = said.value("FROM")
    path = folder / Path(source).expanduser()
    if is_path(source, path):
        require_whole(path)
        return pack(name, said, lora, read_base_gguf(path))
    arch = read_gguf(lora.path).text("general.architecture")
    base = Base(arch=arch, blocks=0, heads=0, kv_heads=0, head_dim=0, hidden=0, tag=source, origin=FILE_NAME)
    return pack(name, said, lora, base)


def read_author(directory: Path) -> Modelfile | None:
    """Return the author's Modelfile.txt, None where there is none.

    Raises:
        InputError: it cannot be read, or is no Modelfile.
    """
    path = directory / FILE_NAME
    try:
        if not path.exists():
            return None
        return parse(decode(read_small(path), str(path)), where=str(path))
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error


def says_already(path: Path, content: bytes) -> bool:
    """Return whether a file has this content; require that otherwise it is a Modelfile, or not there.

    Raises:
        DestinationError: that cannot be found out.
        RefusedError: it is something else of the user's.
    """
    try:
        found = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise DestinationError(f"This cannot be read: {error.strerror}.", where=path) from error
    if found is None or found == content:
        return found is not None
    try:
        parse(decode(found, str(path)), where=str(path))
    except InputError as error:
        raise RefusedError(
            "There is a file of this name already, and it is not a Modelfile.",
            where=path,
            hint="--out with another place, or move the file away",
        ) from error
    return False


def write_modelfile(
    modelfile: Modelfile, path: Path, note: Note, *, author: Path | None = None, known: object = ""
) -> Path:
    """Write a Modelfile, unless the file says the same already.

    Args:
        modelfile: to be written.
        path: where. Another one that is there stays beside it, as ``….old``: somebody may have edited it.
        note: told about both.
        author: the file whose words are in `modelfile` already, and are not kept twice.
        known: digest of the file that the last build wrote, which is not kept either.

    Raises:
        DestinationError: the file cannot be written.
        RefusedError: a file of another kind is in its place.
    """
    content = print_modelfile(modelfile).encode()
    if not says_already(path, content):
        own = author and author.exists() and path.exists() and author.samefile(path)
        if path.exists() and not own and digest_of(path) != known:
            old = path.with_name(f"{path.name}.old")
            with explained(old):
                path.replace(old)
            note("kept", f"the {path.name} that was there, as {old}")
        with whole_file(path) as file:
            file.write(content)
    note("modelfile", modelfile)
    return path


def read_lora(path: Path) -> LoraFile:
    """Return a GGUF LoRA file that exists; it is read through for its digest.

    Raises:
        InputError: it is missing, damaged, or something else.
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
            header.stored(name)  # says so where the file ends too early
    types = {TENSOR_TYPES.get(kind, "other").lower() for kind in header.types.values()}
    outtype = types.pop() if len(types) == 1 else "mixed"
    return LoraFile(path=path, digest=digest_of(path), size=path.stat().st_size, outtype=outtype)
