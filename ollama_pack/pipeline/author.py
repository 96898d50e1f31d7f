"""The Modelfile that the author of an adapter left beside it, and what the user should know about it."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.base.find import is_path
from ollama_pack.disk.files import user_path
from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import MERGED_ADAPTER
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.peft.directory import AdapterDirectory
from ollama_pack.modelfile import MODELFILE_NAME, OLLAMA_MODELFILE_NAME
from ollama_pack.modelfile.file import read_modelfile

if TYPE_CHECKING:
    from ollama_pack.modelfile.syntax import Command, Modelfile


def author_modelfile(directory: AdapterDirectory) -> tuple["Modelfile | None", tuple[str, ...]]:
    """Return the author's Modelfile, or None if there is none, and what the user should know about it.

    It is searched for beside the adapter, then in the named directory, then in the directory of the run. In
    each, ``Modelfile.txt`` counts, else ``Modelfile``. A FROM that names no base is removed.

    Raises:
        InputError: the file cannot be read, or is not a Modelfile.
    """
    for folder in dict.fromkeys((directory.home, directory.path, directory.run or directory.home)):
        for name in (MODELFILE_NAME, OLLAMA_MODELFILE_NAME):
            found = read_modelfile(folder, name)
            if found is not None:
                notes = () if name == MODELFILE_NAME else (_what_is_read(found),)
                reason = _why_no_base(found, folder, name)
                if not reason:
                    return found, notes
                from ollama_pack.modelfile.editing import without_command

                notes = (*notes, f"FROM in {found.where} is left out: {reason}")
                return without_command(found, "FROM"), notes
    return None, ()


def author_warnings(author: "Modelfile | None", made: "Modelfile") -> tuple[str, ...]:
    """Return a sentence for each command of a Modelfile that does not do what is expected of it.

    A command of the author is named with its line, and left out if an option replaced it. A command of an
    option or a template is named without a line.

    Args:
        author: the author's Modelfile, or None.
        made: the Modelfile that is written.
    """
    from ollama_pack.modelfile.parser import command_problems

    of_author = () if author is None else command_problems(author)
    written, own = set(map(_content_of, made.commands)), {_content_of(command) for command, _ in of_author}
    where = author.where if author else ""
    lines = [
        f"{where}, line {each.line}: {what}." for each, what in of_author if _content_of(each) in written
    ]
    # An empty value comes from an option, and is intended.
    others = [
        (each, what) for each, what in command_problems(made) if each.value and _content_of(each) not in own
    ]
    return (*lines, *(f"{f'{each.name} {each.key}'.strip()}: {what}." for each, what in others))


def _is_merged(path: Path) -> bool:
    """Return whether a file is a GGUF that an adapter was merged into."""
    with contextlib.suppress(InputError):  # What is wrong with it is said where it is used.
        return MERGED_ADAPTER in read_gguf(path).metadata
    return False


def _content_of(command: "Command") -> tuple[str, str, str]:
    """Return what a command says, without the line in which it says it."""
    return command.name, command.key, command.value


def _what_is_read(modelfile: "Modelfile") -> str:
    """Return the note that a file under Ollama's own name is read, with the commands in it."""
    names = Counter(command.name for command in modelfile.commands if command.name not in ("FROM", "ADAPTER"))
    told = ", ".join(name if count == 1 else f"{count} {name}" for name, count in names.items())
    found = told or "nothing but FROM"
    return f"{modelfile.where} is read, because there is no {MODELFILE_NAME}; it has {found}"


def _why_no_base(modelfile: "Modelfile", folder: Path, name: str) -> str:
    """Return why FROM cannot be the base of the adapter, or an empty text if it can."""
    source = modelfile.value("FROM")
    try:
        path = folder / user_path(source)
        is_file, is_directory = is_path(source, path), path.is_dir()
        if is_file and not is_directory and path.is_file() and _is_merged(path):
            return f"an adapter is merged into {source} already; --base names the model without it"
    except OSError:  # the name is too long
        return ""
    if is_file and is_directory:
        return f"{source} is a directory, but a base is an Ollama model or a GGUF file"
    if name == OLLAMA_MODELFILE_NAME and is_file and not modelfile.value("ADAPTER"):
        # A trainer that exports a merged model writes such a file; on it, the adapter would act twice.
        return f"without ADAPTER, {source} may hold the adapter already; if it does not, use --base {path}"
    return ""
