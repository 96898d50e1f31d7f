"""Finds which keys of rank_pattern and alpha_pattern match which modules, as PEFT does, within a bound.

A key is a regular expression that a stranger wrote. Most keys are plain names of modules, which are looked
up. All other keys of a setting are matched in one process with limits, by Python's ``re``, as in PEFT. See "A
stranger's pattern runs within limits" in docs/decisions.md.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ollama_pack.errors import InputError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.lora.peft import pattern_worker
from ollama_pack.shown import words_of

Matches: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
"""Setting → module → the keys of the setting that match the module, in the order of the file."""

PATTERNS = ("rank_pattern", "alpha_pattern", "n_frequency_pattern")
"""The settings whose keys are patterns."""

PATTERN_SECONDS, PATTERN_MEMORY = 5, 512 << 20
"""Processor time and memory that the patterns of a setting may take."""

MOST_LOOKED_UP = 1 << 24
"""Most dots that are looked at for the keys of a setting. Ten thousand modules with a key each take 10^5."""

_WALL_SECONDS = 60.0
_NAME = re.compile(r"[A-Za-z0-9_.\-]+")


def match_patterns(config: Mapping[str, Any], modules: Sequence[str], path: Path) -> Matches:
    """Return which keys of the patterns match which modules.

    Args:
        config: the checked adapter_config.json.
        modules: the names of the modules in the trained model.
        path: the configuration file, for the error.

    Raises:
        InputError: a key is not a regular expression, or it takes too much time or memory.

    Example:
        >>> config = {"peft_type": "LORA", "rank_pattern": {"q_proj": 4}}
        >>> match_patterns(config, ["layers.0.q_proj", "layers.0.k_proj"], Path("adapter_config.json"))
        {'rank_pattern': {'layers.0.q_proj': ['q_proj']}}
    """
    found: dict[str, Mapping[str, Sequence[str]]] = {}
    for setting in PATTERNS:
        keys = list(config.get(setting) or ())
        if keys and setting == "rank_pattern" and str(config.get("peft_type")).upper() == "ADALORA":
            found[setting] = _of_adalora(keys)
        elif keys:
            found[setting] = _matching(keys, modules, f"{path}: {setting}")
    return found


def _of_adalora(keys: Sequence[str]) -> dict[str, list[str]]:
    """Return module → key: AdaLoRA's keys are the names of its tensors, ``….q_proj.lora_E.default``."""
    found: dict[str, list[str]] = {}
    for key in keys:
        module = key.rpartition(".lora_E")[0].removeprefix("base_model.model.")
        found.setdefault(module, []).append(key)
    return found


def _matching(keys: Sequence[str], modules: Sequence[str], where: str) -> dict[str, list[str]]:
    """Return module → the keys of one setting that match it; modules without one are left out."""
    plain = all("\n" not in module for module in modules)
    names = [number for number, key in enumerate(keys) if plain and _NAME.fullmatch(key)]
    others = sorted(set(range(len(keys))).difference(names))
    numbers: dict[str, list[int]] = {}
    for module, number in _named(keys, names, modules, where):
        numbers.setdefault(module, []).append(number)
    for module, number in _run_patterns(keys, others, modules, where):
        numbers.setdefault(module, []).append(number)
    return {module: [keys[number] for number in sorted(those)] for module, those in numbers.items()}


def _named(
    keys: Sequence[str], numbers: Sequence[int], modules: Sequence[str], where: str
) -> Iterator[tuple[str, int]]:
    """Yield the matches of keys that are names: the end of a module's name from a dot on.

    A dot in a key matches any character. So keys are looked up among those that have dots at the same places.

    Raises:
        InputError: there are too many such places.
    """
    tables: dict[int, dict[tuple[int, ...], dict[str, int]]] = {}
    for number in numbers:
        key = keys[number]
        dots = tuple(at for at, letter in enumerate(key) if letter == ".")
        tables.setdefault(len(key), {}).setdefault(dots, {})[key] = number
    left = MOST_LOOKED_UP
    for module in modules:
        starts = [0, *(at + 1 for at, letter in enumerate(module) if letter == ".")]
        for end in (module[start:] for start in starts if len(module) - start in tables):
            for dots, table in tables[len(end)].items():
                left -= 1 + len(dots)
                if left < 0:
                    raise _too_much(next(iter(table)), where)
                number = table.get(_with_dots(end, dots), -1)
                if number >= 0:
                    yield module, number


def _with_dots(text: str, dots: Sequence[int]) -> str:
    """Return a text with a dot at each of these places."""
    if all(text[at] == "." for at in dots):
        return text
    letters = list(text)
    for at in dots:
        letters[at] = "."
    return "".join(letters)


def _run_patterns(
    keys: Sequence[str], numbers: Sequence[int], modules: Sequence[str], where: str
) -> Iterator[tuple[str, int]]:
    """Yield the matches of keys that are expressions, which a process with limits finds.

    Raises:
        InputError: a key is not a regular expression, or it takes too much time or memory.
    """
    if not numbers:
        return
    import subprocess  # few adapters have an expression

    from ollama_pack.jobs.limited_process import limited_command

    asked = {"patterns": [keys[number] for number in numbers], "modules": list(modules)}
    command = limited_command(
        pattern_worker.__file__, memory=PATTERN_MEMORY, seconds=PATTERN_SECONDS, bare=True
    )
    try:
        output = subprocess.run(
            command, input=json.dumps(asked).encode(), capture_output=True, timeout=_WALL_SECONDS, check=False
        ).stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    answers = output.splitlines(keepends=True)
    whole = [line for line in answers if line.endswith(b"\n")]
    for number, line in zip(numbers, whole, strict=False):
        answer = parse_json(line)
        if isinstance(answer, str):
            raise InputError(
                f"{_shown_key(keys[number])} is not a regular expression ({words_of(answer)}).", where=where
            )
        yield from ((modules[at], number) for at in answer)
    if len(whole) < len(numbers):
        raise _too_much(keys[numbers[len(whole)]], where)


def _too_much(key: str, where: str) -> InputError:
    """Return the error for a key that cannot be compared with all modules within the bounds."""
    return InputError(
        f"The key {_shown_key(key)} cannot be compared with the names of the modules within "
        f"{PATTERN_SECONDS} seconds.",
        where=where,
        hint="instead of a pattern, write the name of each module that it means as a key",
    )


def _shown_key(key: str) -> str:
    """Return a key as a message shows it."""
    return repr(key) if len(key) <= 80 else f"{key[:77]!r}…"
