"""Scans a pickle for what it would import if somebody loaded it. Nothing is ever loaded.

The standard library's `pickletools` reads the opcodes without running them. Since version 1.6, PyTorch stores
one pickle in a zip archive (``*/data.pkl``); earlier versions store several pickles one after another. Both
are read. See docs/decisions.md, “Pickles are data”.
"""

import contextlib
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from ollama_pack.formats.untrusted_json import DAMAGE
from ollama_pack.shown import reason_of

PLAIN_TENSORS, OBJECTS, SUSPICIOUS, UNREAD = "plain tensors", "objects", "suspicious", "not read"
MOST_BYTES, MOST_OPCODES = 8 << 20, 400_000
"""Limits for the part of a pickle that is scanned. An optimizer with 400 tensors has about 10,000 bytes."""

MOST_NAMES = 1 << 14
"""Most members of an archive, because `zipfile` reads the names of all of them."""

ARCHIVE_DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, zipfile.BadZipFile, zlib.error, RuntimeError),
    *DAMAGE,
)
"""What `zipfile` raises for an archive that is damaged, or packed in an unknown way."""

with contextlib.suppress(ImportError):  # Python may be built without it
    import lzma

    ARCHIVE_DAMAGE = (*ARCHIVE_DAMAGE, lzma.LZMAError)

MOST_NESTED_PICKLES = 5
SHOWN_IMPORTS = 6
UNNAMED = "something without a name"
_TENSORS = re.compile(
    r"torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_\w+|torch\.storage\.(?:Untyped|Typed)Storage"
    r"|torch\.(?:device|Size|dtype|\w+Storage|b?float\d+|u?int\d+|bool)|torch\.nn\.parameter\.Parameter"
    r"|torch\.serialization\._get_layout|collections\.(?:OrderedDict|defaultdict)|_codecs\.encode"
    r"|numpy\._?core\.multiarray\.(?:_reconstruct|scalar)|numpy\.(?:ndarray|dtype)|numpy\.dtypes\.\w+"
    r"|(?:builtins|__builtin__)\.(?:set|frozenset|bytearray|complex|slice|range|dict|list|tuple|int|float|bool|str|bytes)"
)
"""Imports that a file of tensors, numbers and containers needs."""

_SETTINGS = re.compile(
    r"(?:transformers|accelerate|trl|peft|torch\.optim|torch\.distributed|deepspeed|axolotl|llamafactory|unsloth"
    r"|bitsandbytes|datasets|omegaconf|pathlib|datetime|typing|argparse|__main__|UnslothSFTTrainer)"
    r"(?:\.\w+)*\.[A-Z]\w*|datetime\.(?:datetime|timedelta|date|timezone)"
    r"|copy_?reg\._reconstructor|(?:builtins|__builtin__)\.object"
)
"""Imports that the settings of a trainer need: classes of the libraries that train."""


@dataclass(frozen=True, slots=True)
class Pickle:
    """The result of scanning a pickle.

    Attributes:
        verdict: `PLAIN_TENSORS` for tensors and numbers; `OBJECTS` for settings of a trainer; `SUSPICIOUS`
            for imports that no trainer is known to write and that may run code; `UNREAD` if the file is not
            a pickle or cannot be read to its end.
        imports: the imports that the verdict is based on, ``module.name``.
        why: why the pickle was not read to its end, or an empty string.
    """

    verdict: str
    imports: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        """Return the result as a clause without a subject."""
        if self.verdict == PLAIN_TENSORS:
            return "holds tensors and numbers"
        if self.verdict == UNREAD:
            return f"cannot be scanned: {self.why}"
        more = f" and {len(self.imports) - SHOWN_IMPORTS} more" if len(self.imports) > SHOWN_IMPORTS else ""
        names = ", ".join(self.imports[:SHOWN_IMPORTS])
        if self.verdict == OBJECTS:
            return f"loading it would import {names}{more}"
        return f"loading it would import what no trainer writes, and may run it: {names}{more}"


def scan(path: Path) -> Pickle:
    """Return what the pickles in a file would import. Their bytes are read, but never loaded."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        content = _archived_pickle(path) if start.startswith(b"PK") else _start_of(path)
    except ARCHIVE_DAMAGE as error:
        return Pickle(UNREAD, why=reason_of(error))
    imports: set[str] = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Escapes in somebody else's texts are no concern of the user.
            complete = _collect_imports(content, imports)
    except DAMAGE as error:
        return _verdict_on(
            imports, f"it is not a complete pickle ({reason_of(error).partition(':')[0][:80]})"
        )
    limit = f"it has more than {MOST_OPCODES} opcodes or {MOST_BYTES} bytes"
    return _verdict_on(imports, "" if complete else limit)


def _verdict_on(imports: set[str], why: str) -> Pickle:
    """Return the verdict. Suspicious imports count even if the rest of the pickle could not be read."""
    bad = sorted(name for name in imports if not _TENSORS.fullmatch(name) and not _SETTINGS.fullmatch(name))
    if bad:
        return Pickle(SUSPICIOUS, tuple(bad), why)
    if why:
        return Pickle(UNREAD, tuple(sorted(imports)), why)
    objects = tuple(sorted(name for name in imports if not _TENSORS.fullmatch(name)))
    return Pickle(OBJECTS if objects else PLAIN_TENSORS, objects or tuple(sorted(imports)))


def _start_of(path: Path) -> bytes:
    """Return the first `MOST_BYTES` bytes of a file."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _archived_pickle(path: Path) -> bytes:
    """Return the first `MOST_BYTES` bytes of the pickle in a PyTorch archive, and decompress no more.

    Raises:
        ValueError: the archive holds no pickle, or has too many members.
    """
    _require_few_members(path)
    with zipfile.ZipFile(path) as archive:
        names = [info for info in archive.infolist() if info.filename.endswith(("/data.pkl", "data.pkl"))]
        if not names:
            code = any("/code/" in info.filename for info in archive.infolist())
            raise ValueError("it is a TorchScript program" if code else "it is an archive without a pickle")
        with archive.open(names[0]) as member:
            return member.read(MOST_BYTES)


def _require_few_members(path: Path) -> None:
    """Require that an archive lists few members, before `zipfile` reads the whole list.

    Raises:
        ValueError: the list is too long, or the archive has none.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - (1 << 16) - 22))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise ValueError("it is an archive without a list of members")
    count, length = struct.unpack("<HI", tail[at + 10 : at + 16])
    # An archive in the ZIP64 format has the real numbers in a record of its own.
    zip64 = tail.rfind(b"PK\x06\x06", 0, at)
    if zip64 >= 0 and zip64 + 56 <= len(tail):
        count, length = struct.unpack("<QQ", tail[zip64 + 32 : zip64 + 48])
    if count > MOST_NAMES or length > MOST_NAMES << 10:
        raise ValueError(f"it is an archive with {count} members")


def _collect_imports(content: bytes, imports: set[str]) -> bool:
    """Add the imports of the pickles in `content` to `imports`; return whether all pickles were read.

    Raises:
        ValueError: the content is not a pickle.
    """
    stream, left = BytesIO(content), MOST_OPCODES
    for _ in range(MOST_NESTED_PICKLES):
        start = stream.tell()
        if start and content[start : start + 1] != b"\x80":
            return True  # Old versions of PyTorch store the numbers of the tensors after the pickles.
        for name in _imports_of(stream, left):
            imports.add(name)
        left -= 1
        if stream.tell() >= len(content):
            return len(content) < MOST_BYTES
    return True


def _imports_of(stream: BytesIO, most: int) -> Iterator[str]:
    """Yield ``module.name`` for every import of one pickle.

    Args:
        stream: the pickle.
        most: the number of opcodes that may be read.

    Raises:
        ValueError: the pickle is damaged, or has more opcodes.
    """
    pushed: list[str | None] = []
    memo: dict[int, str | None] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count >= most:
            raise ValueError(f"it has more than {most} opcodes")
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            yield _dotted(*str(argument).partition(" ")[::2])
        elif name == "STACK_GLOBAL":
            # Only names pushed directly before are used. A name that is hidden otherwise counts as unnamed,
            # which is suspicious.
            yield _dotted(*pushed[-2:]) if len(pushed) > 1 else UNNAMED
        elif name in ("EXT1", "EXT2", "EXT4"):
            yield f"{UNNAMED} ({name} {argument})"
        if name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
            memo[len(memo) if argument is None else int(argument)] = pushed[-1] if pushed else None
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            pushed.append(memo.get(int(str(argument))))
        elif isinstance(argument, str) and name.endswith(("UNICODE", "UNICODE8", "STRING")):
            pushed.append(argument)
        elif name != "FRAME":
            pushed.clear()


def _dotted(module: str | None, name: str | None) -> str:
    """Return an import as ``module.name``, or as ``module: name.name`` if it goes through attributes.

    Through attributes a pickle could reach anything, so that form matches no known import.
    """
    if not module or not name:
        return UNNAMED
    return f"{module}: {name}" if "." in name else f"{module}.{name}"
