"""Derives a Go TEMPLATE from a chat template, by asking it about conversations of markers.

What stands between two markers is the text that goes before a message of one role after one of another. A
template whose prompts are not made like that is not derived. What is derived is only a proposal: the proof of
the prompt, on other conversations, decides whether it is used.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.trained import ChatTemplate, Conversation, Turn
from ollama_pack.chat.trim_template import TRIM_DEFINES

_TALKS = ("u", "uau", "uauau", "su", "suau", "suauau")
_ROLES = {"u": "user", "a": "assistant", "s": "system"}
_FIRST, _END = "^", "$"
_SIDES = {"both": "trim", "left": "trimLeft", "right": "trimRight", "": ""}

Joints = Mapping[tuple[str, str], str]


def derive_go_template(template: ChatTemplate, renderer: ChatRenderer, bos: str = "") -> str:
    """Return a Go TEMPLATE that may make the same prompts, or an empty string if none can be derived.

    Args:
        template: the chat template.
        renderer: what fills it.
        bos: the begin of text, if the tokenizer of the GGUF adds it; the TEMPLATE leaves it out then.

    Raises:
        InputError: the chat template is damaged.
    """
    joints = _joints(template, renderer)
    now, renderer.now = renderer.now, renderer.now + timedelta(days=400)
    try:
        changes = _joints(template, renderer) != joints
    finally:
        renderer.now = now
    if not joints or changes:  # a date in the text would be that of the build for ever
        return ""
    trims = {role: _trimmed_side(template, renderer, role) for role in _ROLES}
    if bos:
        joints = {
            (before, role): text.removeprefix(bos) if before == _FIRST else text
            for (before, role), text in joints.items()
        }
    defines = TRIM_DEFINES if any(trims.values()) else ""
    return defines + _go_text(joints, {role: _SIDES[side] for role, side in trims.items()})


def _talk_of(roles: str, texts: Sequence[str]) -> list[Turn]:
    return [{"role": _ROLES[role], "content": text} for role, text in zip(roles, texts, strict=True)]


def _joints(template: ChatTemplate, renderer: ChatRenderer) -> Joints:
    """Return the text between roles that follow each other, or nothing if it is not always the same."""
    found: dict[tuple[str, str], str] = {}
    for roles in _TALKS:
        marks = [f"Qx{at}{role}xQ" for at, role in enumerate(roles)]
        try:
            prompt = renderer.render(template, Conversation(roles, _talk_of(roles, marks)))
        except ConversationRefusedError:
            if roles[0] == "s":  # a template without system messages is no fault
                continue
            return {}
        for before, role, mark in zip(_FIRST + roles, roles, marks, strict=False):
            text, is_there, prompt = prompt.partition(mark)
            if not is_there or found.setdefault((before, role), text) != text:
                return {}
        if "xQ" in prompt or found.setdefault((roles[-1], _END), prompt) != prompt:
            return {}
    return found


def _trimmed_side(template: ChatTemplate, renderer: ChatRenderer, role: str) -> str:
    """Return on which sides a template trims the text of a role: ``both``, ``left``, ``right`` or none."""
    roles = {"u": "uau", "a": "uau", "s": "su"}[role]
    marks = ["first", "second", "third"][: len(roles)]
    at = roles.index(role)
    marks[at] = " \n Qx \n "
    try:
        prompt = renderer.render(template, Conversation(roles, _talk_of(roles, marks)))
    except ConversationRefusedError:
        return ""
    left, right = " \n Qx" not in prompt, "Qx \n " not in prompt
    return {(True, True): "both", (True, False): "left", (False, True): "right"}.get((left, right), "")


def _go_text(joints: Joints, trims: Mapping[str, str]) -> str:
    """Return the TEMPLATE: before each message the text that the one before it asks for."""
    branches: dict[str, str] = {}
    for role, name in _ROLES.items():
        befores = {before: text for (before, after), text in joints.items() if after == role}
        if not befores:
            continue
        content = f'{{{{ template "{trims[role]}" .Content }}}}' if trims[role] else "{{ .Content }}"
        body = _choice(
            "$before", {_ROLES.get(each, ""): _literal_text(text) for each, text in befores.items()}
        )
        branches[name] = body + content
    chosen = _choice(".Role", branches)
    end = _literal_text(joints["u", _END])
    head = '{{ $before := "" }}{{ range .Messages }}'
    return f"{head}{chosen}{{{{ $before = .Role }}}}{{{{ end }}}}{end}"


def _choice(value: str, texts: Mapping[str, str]) -> str:
    """Return the branches that write one of the texts, by what a value is."""
    words = ("if", *("else if" for _ in texts))
    parts = [
        f'{{{{ {word} eq {value} "{name}" }}}}{text}'
        for word, (name, text) in zip(words, texts.items(), strict=False)
    ]
    return "".join(parts) + "{{ end }}"


def _literal_text(text: str) -> str:
    """Return text of a Go template that writes `text`; only opening braces need quotes."""
    return text.replace("{{", '{{ "{{" }}')
