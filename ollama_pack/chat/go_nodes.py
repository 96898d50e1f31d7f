"""The nodes of a parsed Go template, which `parse_go` makes and the interpreter executes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class GoText:
    """Text that is written as it stands."""

    text: bytes
    line: int


@dataclass(frozen=True, slots=True)
class GoLiteral:
    """A constant: bytes for a string, bool, int, float, or None for ``nil``."""

    value: bytes | bool | int | float | None
    line: int


@dataclass(frozen=True, slots=True)
class GoDot:
    """The value that ``.`` stands for."""

    line: int


@dataclass(frozen=True, slots=True)
class GoField:
    """``.X.Y``, with the names from left to right."""

    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class GoVariable:
    """``$x.Y``: the name of a variable with its ``$``, and fields of it."""

    name: str
    fields: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class GoFunction:
    """The name of a function."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class GoChain:
    """``(pipeline).X.Y``: fields of what is computed."""

    of: "GoPipeline | GoFunction"
    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class GoPipeline:
    """Commands, each of which gets the result of the one before, and the variables that get the last result.

    Attributes:
        commands: the operands of each command.
        variables: the names of the variables that are set, with their ``$``.
        assigns: whether they exist already (``=`` and not ``:=``).
        line: the number of its line.
    """

    commands: "tuple[tuple[GoOperand, ...], ...]"
    variables: tuple[str, ...]
    assigns: bool
    line: int


GoOperand: TypeAlias = GoLiteral | GoDot | GoField | GoVariable | GoFunction | GoChain | GoPipeline


@dataclass(frozen=True, slots=True)
class GoAction:
    """``{{ pipeline }}``."""

    pipe: GoPipeline


@dataclass(frozen=True, slots=True)
class GoBranch:
    """``if``, ``with`` or ``range``.

    Attributes:
        word: which of the three.
        pipe: its condition, or the value that a ``range`` goes through.
        body: what is between it and its ``else`` or ``end``.
        otherwise: what is between its ``else`` and ``end``, or None if it has none.
    """

    word: str
    pipe: GoPipeline
    body: "GoNodes"
    otherwise: "GoNodes | None"


@dataclass(frozen=True, slots=True)
class GoJump:
    """``break`` or ``continue``."""

    word: str
    line: int


@dataclass(frozen=True, slots=True)
class GoCall:
    """``{{ template "name" pipeline }}``."""

    name: str
    pipe: GoPipeline | None
    line: int


GoNode: TypeAlias = GoText | GoAction | GoBranch | GoJump | GoCall
GoNodes: TypeAlias = tuple[GoNode, ...]


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """A Go template that was parsed.

    Attributes:
        text: its text.
        root: its nodes.
        defined: the name of each ``define`` → its nodes.
    """

    text: str
    root: GoNodes
    defined: Mapping[str, GoNodes] = field(default_factory=dict)
