"""LOOK AT  a pickle as data: what it would import if somebody loaded it. Nothing is ever loaded.

The opcodes are walked over by the standard library's `pickletools`, which runs none of them. PyTorch keeps a
pickle in a zip archive (``*/data.pkl``) since 1.6, and before that several one after another; both are read.
"""

import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

PLAIN_TENSORS, OBJECTS, SUSPICIOUS, UNREAD = "plain tensors", "objects", "suspicious", "not read"
MOST_BYTES, MOST_OPCODES = 8 << 20, 400_000
"""What is looked at of a pickle; an optimizer's has some ten thousand bytes, of 400 tensors."""

MOST_NAMES = 1 << 14
"""Members of an archive; the names of all of them are read."""

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
"""Imports of a file that holds tensors, numbers and containers of them."""

_SETTINGS = re.compile(
    r"(?:transformers|accelerate|trl|peft|torch\.optim|torch\.distributed|deepspeed|axolotl|llamafactory|unsloth"
    r"|bitsandbytes|datasets|omegaconf|pathlib|datetime|typing|argparse|__main__|UnslothSFTTrainer)"
    r"(?:\.\w+)*\.[A-Z]\w*|datetime\.(?:datetime|timedelta|date|timezone)"
    r"|copy_?reg\._reconstructor|(?:builtins|__builtin__)\.object"
)
"""Imports of a trainer's settings: classes of the libraries that train."""


@dataclass(frozen=True, slots=True)
class Pickle:
    """What a pickle holds.

    Attributes:
        verdict: `PLAIN_TENSORS`: tensors and numbers; `OBJECTS`: settings of a trainer; `SUSPICIOUS`:
            something that trainers are not known to write, and that may run code; `UNREAD`: it is no
            pickle, or cannot be read to its end.
        imports: what it would import, ``module.name``, those that decide the verdict first.
        why: why it was not read, else empty.
    """

    verdict: str
    imports: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        """Return it as words."""
        if self.verdict == PLAIN_TENSORS:
            return "holds tensors and numbers"
        if self.verdict == UNREAD:
            return f"not looked through: {self.why}"
        more = f" and {len(self.imports) - SHOWN_IMPORTS} more" if len(self.imports) > SHOWN_IMPORTS else ""
        names = ", ".join(self.imports[:SHOWN_IMPORTS])
        if self.verdict == OBJECTS:
            return f"loading it would import {names}{more}"
        return f"loading it would import what trainers do not write, and may run it: {names}{more}"


def scan(path: Path) -> Pickle:
    """Return what a file of pickles would import; its bytes are read, and never loaded."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        content = _member(path) if start.startswith(b"PK") else _head(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        return Pickle(UNREAD, why=f"{str(error).strip() or type(error).__name__}")
    imports: set[str] = set()
    try:
        whole = _walk(content, imports)
    except (ValueError, struct.error, IndexError, OverflowError) as error:
        return _judged(imports, f"it is no whole pickle ({str(error).partition(':')[0][:80]})")
    return _judged(imports, "" if whole else f"it goes on after {MOST_OPCODES} steps or {MOST_BYTES} bytes")


def _judged(imports: set[str], why: str) -> Pickle:
    """Return the verdict; what was seen before a pickle broke off counts."""
    bad = sorted(name for name in imports if not _TENSORS.fullmatch(name) and not _SETTINGS.fullmatch(name))
    if bad:
        return Pickle(SUSPICIOUS, tuple(bad), why)
    if why:
        return Pickle(UNREAD, tuple(sorted(imports)), why)
    objects = tuple(sorted(name for name in imports if not _TENSORS.fullmatch(name)))
    return Pickle(OBJECTS if objects else PLAIN_TENSORS, objects or tuple(sorted(imports)))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _member(path: Path) -> bytes:
    """Return the start of the pickle in a torch archive; a bomb is not blown up further than is read.

    Raises:
        ValueError: there is none, or too many members.
    """
    _require_few(path)
    with zipfile.ZipFile(path) as archive:
        names = [info for info in archive.infolist() if info.filename.endswith(("/data.pkl", "data.pkl"))]
        if not names:
            code = any("/code/" in info.filename for info in archive.infolist())
            raise ValueError("it is a TorchScript program" if code else "an archive without a pickle")
        with archive.open(names[0]) as member:
            return member.read(MOST_BYTES)


def _require_few(path: Path) -> None:
    """Require that an archive's list of members is short: it is read whole.

    Raises:
        ValueError: it is not, or there is none.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - (1 << 16) - 22))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise ValueError("an archive without an end")
    count, length = struct.unpack("<HI", tail[at + 10 : at + 16])
    far = tail.rfind(b"PK\x06\x06", 0, at)
    if far >= 0 and far + 56 <= len(tail):
        count, length = struct.unpack("<QQ", tail[far + 32 : far + 48])
    if count > MOST_NAMES or length > MOST_NAMES << 10:
        raise ValueError(f"an archive with {count} members")


def _walk(content: bytes, imports: set[str]) -> bool:
    """Add what the pickles in some bytes import; return whether they were read to their end.

    Raises:
        ValueError: they are none.
    """
    stream, left = BytesIO(content), MOST_OPCODES
    for _ in range(MOST_NESTED_PICKLES):
        start = stream.tell()
        if start and content[start : start + 1] != b"\x80":
            return True  # numbers of the tensors, as old torch keeps them behind its pickles
        for name in _names(stream, left):
            imports.add(name)
        left -= 1
        if stream.tell() >= len(content):
            return len(content) < MOST_BYTES
    return True


def _names(stream: BytesIO, most: int) -> Iterator[str]:
    """Yield ``module.name`` of every import.

    Raises:
        ValueError: the pickle is damaged, or too long.
    """
    pushed: list[str | None] = []
    memo: dict[int, str | None] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count >= most:
            raise ValueError(f"it has more than {most} steps")
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            yield _dotted(*str(argument).partition(" ")[::2])
        elif name == "STACK_GLOBAL":
            # Only what has just been pushed is believed; whoever hides a name gets no better one.
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
    """Return an import as one name; a way through several attributes leads anywhere, and is shown as such."""
    if not module or not name:
        return UNNAMED
    return f"{module}: {name}" if "." in name else f"{module}.{name}"
