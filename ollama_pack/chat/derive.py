"""Derives a Go TEMPLATE from a chat template, by filling it with conversations whose texts are markers.

The text between two markers depends only on the roles of the two messages. If a chat template writes prompts
in another way, no TEMPLATE is derived. A derived TEMPLATE is only a proposal: the proof of the prompt, on
other conversations, decides whether it is used.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

from ollama_pack.chat.date_template import DATE_DEFINES, has_dates, mark_dates, write_dates
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.trained import ChatTemplate, Conversation, Turn
from ollama_pack.chat.trim_template import TRIM_DEFINE, TRIM_DEFINES

_TALKS = ("u", "uau", "uauau", "su", "suau", "suauau")
_WITH_SYSTEM = 3
"""The index of the first talk with a system message; the talks before it show what precedes a user's text."""

_ROLES = {"u": "user", "a": "assistant", "s": "system"}
_EMPTY = {"U": "empty user", "A": "empty assistant"}
"""Messages without text, which some templates leave out or write in another way."""

_FIRST, _END, _LEFT_OUT = "^", "$", "~"
_BEFORE_LAST, _AFTER_IT = "<", ">"
_ANOTHER_DAY = timedelta(days=400)
_NEEDS = ((TRIM_DEFINE, (0, 5, 13)), ("currentDate", (0, 11, 0)))
"""Parts that a TEMPLATE may have, each with the first release of Ollama that executes it.

A ``range`` over a number came with Go 1.24, and ``currentDate`` with the templates of gpt-oss.
"""


Joints = Mapping[tuple[str, str], str]
"""The text between a message and the next, by their roles; a role in capitals is that of an empty message."""


def derive_go_template(template: ChatTemplate, renderer: ChatRenderer, bos: str = "") -> str:
    """Return a Go TEMPLATE that may make the same prompts, or an empty string if none can be derived.

    Args:
        template: the chat template.
        renderer: the process that fills it.
        bos: the begin of text, if the tokenizer of the GGUF adds it; the TEMPLATE then leaves it out.

    Raises:
        InputError: the chat template is damaged.
    """
    joints = _all_joints(template, renderer)
    now, renderer.now = renderer.now, renderer.now + _ANOTHER_DAY
    try:
        is_daily = _all_joints(template, renderer) == joints
    finally:
        renderer.now = now
    if not joints or not is_daily:  # a date in an unknown form would always be that of the build
        return ""
    trims = _trims(template, renderer)
    if bos:
        starts = (_FIRST, "s") if ("s", _LEFT_OUT) in joints else (_FIRST,)
        joints = {
            (before, role): text.removeprefix(bos) if before in starts else text
            for (before, role), text in joints.items()
        }
    defines = TRIM_DEFINES if any(trims.values()) else ""
    defines += DATE_DEFINES if any(map(has_dates, joints.values())) else ""
    return defines + _go_text(joints, trims)


def release_needed(template: str, version: tuple[int, int, int] | None) -> str:
    """Return the first release of Ollama that executes a TEMPLATE, or an empty text if the given one does.

    Args:
        template: the TEMPLATE, which may be empty.
        version: the release of Ollama; None for the latest.

    Example:
        >>> release_needed("{{ .Prompt }}", (0, 5, 5))
        ''
    """
    first = max((release for part, release in _NEEDS if part in template), default=(0, 0, 0))
    return "" if version is None or version >= first else ".".join(map(str, first))


def _all_joints(template: ChatTemplate, renderer: ChatRenderer) -> Joints:
    """Return the text between roles, with empty messages too; empty if it is not always the same."""
    joints = _joints(template, renderer)
    return {**joints, **_empty_joints(template, renderer, joints)} if joints else {}


def _probe(template: ChatTemplate, renderer: ChatRenderer, roles: str) -> tuple[str, list[str]]:
    """Return the prompt of a conversation of markers, and the marker of each message.

    Raises:
        ConversationRefusedError: the template does not take such conversations.
        InputError: the chat template is damaged.
    """
    marks = ["" if role in _EMPTY else f"Qx{at}{role}xQ" for at, role in enumerate(roles)]
    prompt = renderer.render(template, Conversation(roles, _talk_of(roles.lower(), marks)))
    return mark_dates(prompt, renderer.now), marks


def _talk_of(roles: str, texts: Sequence[str]) -> list[Turn]:
    """Return a conversation of these texts, with one letter in `roles` for the role of each."""
    return [{"role": _ROLES[role], "content": text} for role, text in zip(roles, texts, strict=True)]


def _joints(template: ChatTemplate, renderer: ChatRenderer) -> Joints:
    """Return the text between roles that follow each other; empty if it is not always the same."""
    found: dict[tuple[str, str], str] = {}
    for roles in _TALKS:
        try:
            prompt, marks = _probe(template, renderer, roles)
        except ConversationRefusedError:
            if roles[0] == "s":  # a template without system messages is no fault
                continue
            return {}
        if roles == _TALKS[_WITH_SYSTEM]:
            found |= _late_system(template, renderer, found)
        if ("s", _BEFORE_LAST) in found:
            late = found["s", _BEFORE_LAST] + marks[0] + found["s", _AFTER_IT]
            prompt = prompt.replace(late + marks[-1], marks[-1], 1)
        for before, role, mark in zip(_FIRST + roles, roles, marks, strict=False):
            text, is_there, rest = prompt.partition(mark)
            if not is_there and role == "s":  # the template leaves out the text of a system message
                found["s", _LEFT_OUT] = text = ""
                rest = prompt
            elif not is_there:
                return {}
            if found.setdefault((before, role), text) != text:
                return {}
            prompt = rest
        if "xQ" in prompt or found.setdefault((roles[-1], _END), prompt) != prompt:
            return {}
    return found


def _late_system(template: ChatTemplate, renderer: ChatRenderer, joints: Joints) -> Joints:
    """Return the texts around the system message, if it stands before the last text of the user."""
    try:
        prompt, (system, first, answer, last) = _probe(template, renderer, "suau")
    except ConversationRefusedError:
        return {}
    if prompt.find(system) < prompt.find(first):
        return {}
    left, _, right = prompt.partition(answer)[2].partition(last)[0].partition(system)
    start = joints["a", "u"]
    return (
        {("s", _BEFORE_LAST): left.removeprefix(start), ("s", _AFTER_IT): right}
        if left.startswith(start)
        else {}
    )


def _empty_joints(template: ChatTemplate, renderer: ChatRenderer, joints: Joints) -> Joints:
    """Return the text around empty messages, if the template writes them differently from others."""
    found: dict[tuple[str, str], str] = {}
    with contextlib.suppress(ConversationRefusedError):
        prompt, (first, _, last) = _probe(template, renderer, "uAu")
        between = prompt.partition(first)[2].partition(last)[0]
        if between != joints["u", "a"] + joints["a", "u"]:
            found |= {("u", "A"): "", ("A", "u"): between}
    with contextlib.suppress(ConversationRefusedError):
        end, asked = joints["u", _END], {}
        for roles in ("U", "uaU", "sU"):
            if ("s", "u") in joints or "s" not in roles:
                prompt, marks = _probe(template, renderer, roles)
                asked[(_FIRST + roles)[-2]] = prompt.rpartition(marks[-2])[2] if marks[1:] else prompt
        if any(text != joints[before, "u"] + end for before, text in asked.items()):
            shared = end if all(text.endswith(end) for text in asked.values()) else ""
            found |= {(before, "U"): text.removesuffix(shared) for before, text in asked.items()}
            prompt, marks = _probe(template, renderer, "Uau")
            answered = prompt.partition(marks[1])[0].removeprefix(found[_FIRST, "U"])
            found |= {("U", _END): shared, ("U", "a"): answered}
    return found


def _trims(template: ChatTemplate, renderer: ChatRenderer) -> Joints:
    """Return by (role before, role) the name of the definition that trims the text; empty for none."""
    talks = (("u", 0), ("uau", 1), ("uau", 2), ("su", 0), ("su", 1))
    places = {((_FIRST + roles)[at], roles[at]): (roles, at) for roles, at in talks}
    found = {place: _trimmed_side(template, renderer, *talk) for place, talk in places.items()}
    return {**found, ("A", "u"): found["a", "u"], ("U", "a"): found["u", "a"]}


def _trimmed_side(template: ChatTemplate, renderer: ChatRenderer, roles: str, at: int) -> str:
    """Return the name of the definition that trims a message as a template does, or an empty string."""
    marks = ["first", "second", "third"][: len(roles)]
    marks[at] = " \n Qx \n "
    try:
        prompt = renderer.render(template, Conversation(roles, _talk_of(roles, marks)))
    except ConversationRefusedError:
        return ""
    left, right = " \n Qx" not in prompt, "Qx \n " not in prompt
    if "Qx" not in prompt:  # the text is left out
        return ""
    return {(True, True): "trim", (True, False): "trimLeft", (False, True): "trimRight"}.get(
        (left, right), ""
    )


def _go_text(joints: Joints, trims: Joints) -> str:
    """Return the TEMPLATE: each message, after the text that belongs between it and the one before."""
    names = {
        role: name for role, name in (_ROLES | _EMPTY).items() if any(after == role for _, after in joints)
    }
    branches: dict[str, str] = {}
    for role, name in names.items():
        texts = {
            names.get(before, ""): _shown(".Content", trims.get((before, after), ""))
            for before, after in joints
            if after == role
        }
        written = "" if role in _EMPTY or (role, _LEFT_OUT) in joints else _choice("$before", texts)
        late = _late_text(joints, trims) if role == "u" else ""
        branches[name] = _after(joints, names, role) + late + written
    empty = [
        f'{{{{ if and (eq .Role "{_ROLES[role.lower()]}") (not .Content) }}}}'
        f'{{{{ $role = "{name}" }}}}{{{{ end }}}}'
        for role, name in _EMPTY.items()
        if role in names
    ]
    head = '{{ $before := "" }}{{ range $at, $message := .Messages }}{{ $role := .Role }}' + "".join(empty)
    chosen = _choice("$role", branches)
    return f"{head}{chosen}{{{{ $before = $role }}}}{{{{ end }}}}{_after(joints, names, _END)}"


def _shown(value: str, trim: str) -> str:
    """Return an action of Go that writes a value, trimmed by a definition if `trim` names one."""
    return f'{{{{ template "{trim}" {value} }}}}' if trim else f"{{{{ {value} }}}}"


def _late_text(joints: Joints, trims: Joints) -> str:
    """Return Go text that writes the system message before the user's last text, if the template does."""
    if ("s", _BEFORE_LAST) not in joints:
        return ""
    left, right = (_literal_text(joints["s", side]) for side in (_BEFORE_LAST, _AFTER_IT))
    is_last = "{{ if and $.System (eq (len (slice $.Messages $at)) 1) }}"
    return f"{is_last}{left}{_shown('$.System', trims[_FIRST, 's'])}{right}{{{{ end }}}}"


def _after(joints: Joints, names: Mapping[str, str], role: str) -> str:
    """Return Go text that writes the text before a message of a role, by the role of the message before."""
    texts = {names.get(before, ""): text for (before, after), text in joints.items() if after == role}
    return _choice("$before", {name: _literal_text(text) for name, text in texts.items()})


def _choice(value: str, texts: Mapping[str, str]) -> str:
    """Return an ``if`` that writes the text for a value; without the ``if`` if all texts are alike."""
    if len({*texts.values()}) == 1 and value == "$before":
        return next(iter(texts.values()))
    words = ("if", *("else if" for _ in texts))
    parts = [
        f'{{{{ {word} eq {value} "{name}" }}}}{text}'
        for word, (name, text) in zip(words, texts.items(), strict=False)
    ]
    return "".join(parts) + "{{ end }}"


def _literal_text(text: str) -> str:
    """Return text of a Go template that writes `text`; only opening braces need quotes."""
    return write_dates(text.replace("{{", '{{ "{{" }}'))
