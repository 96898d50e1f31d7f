"""The values that a model has without options: those of its author's Modelfile and of its adapter."""

from dataclasses import dataclass

from ollama_pack.disk.files import read_json_object
from ollama_pack.lora.peft.directory import resolve_directory
from ollama_pack.lora.peft.run_directory import CONFIG_FILE
from ollama_pack.pipeline.author import author_modelfile
from ollama_pack.pipeline.naming import name_from_directories
from ollama_pack.pipeline.request import Request
from ollama_pack.shown import words_of

_SINGLE = {"FROM": "base", "SYSTEM": "system", "TEMPLATE": "template"}


@dataclass(frozen=True, slots=True)
class DirectoryValue:
    """A value that a directory gives where no option does.

    Attributes:
        key: the key of the option that would overrule the value.
        value: the value, on one line.
        source: ``Modelfile`` or ``adapter``.
        where: the file, with its line or its key.
    """

    key: str
    value: str
    source: str
    where: str


def values_of_directory(request: Request) -> list[DirectoryValue]:
    """Return what the directory of an adapter says of its model, the author's Modelfile before the adapter.

    Args:
        request: its directory is that of the adapter.

    Raises:
        InputError: there is no adapter, or a file cannot be read.

    Example:
        >>> from ollama_pack import Request
        >>> found = values_of_directory(Request(directory="ada-lovelace-lora"))
        >>> [each.value for each in found if each.key == "name"]
        ['ada-lovelace']
    """
    directory = resolve_directory(request.directory, request.adapter)
    author, _ = author_modelfile(directory)
    found = []
    for command in author.commands if author else ():
        where = f"{author.where if author else ''}, line {command.line}"
        if command.name in _SINGLE:
            found.append(DirectoryValue(_SINGLE[command.name], words_of(command.value), "Modelfile", where))
        elif command.name == "PARAMETER":
            pair = words_of(f"{command.key}={command.value}")
            found.append(DirectoryValue("parameter", pair, "Modelfile", where))
    path = directory.home / CONFIG_FILE
    named = read_json_object(path).get("base_model_name_or_path") if path.is_file() else None
    if isinstance(named, str) and named:
        where = f"{path}: base_model_name_or_path"
        found.append(DirectoryValue("base", words_of(named), "adapter", where))
    name = str(name_from_directories(request.directories, request.adapter))
    found.append(DirectoryValue("name", name, "adapter", f"the name of {request.directory}"))
    return found
