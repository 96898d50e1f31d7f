"""The generations of Ollama: what follows from a version, and the page that says so."""

from collections.abc import Mapping
from pathlib import Path

import fake_daemon
import pytest
from characters import CHARACTERS

from ollama_pack.deliver import choose
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.versions import (
    GENERATIONS,
    generation_of,
    known_crash,
    parse_version,
    unsupported_reason,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "delivery.md"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0.3.7", (0, 3, 7)),
        ("0.5.4", (0, 3, 7)),
        ("0.5.5", (0, 5, 5)),
        ("0.24.0", (0, 5, 5)),
        ("v0.30.0", (0, 30, 0)),
        ("0.34.0", (0, 30, 0)),
        ("0.34.1-rc0", (0, 34, 1)),
        ("0.39.9", (0, 34, 1)),
        ("0.40.0", (0, 40, 0)),
        ("1.2.3", (0, 40, 0)),
    ],
)
def test_of_which_generation(text, first):
    """A release belongs to the last generation that began before it."""
    assert generation_of(text).first == first


@pytest.mark.parametrize("text", ["0.0.0", "", "unknown", "0.3.6", "0.1"])
def test_of_none(text):
    """Builds from source say nothing, and the first releases had no GGUF adapters."""
    assert generation_of(text) is None


def test_the_stand_ins_characters_agree():
    """What the table says of a version is what the stand-in of that version does."""
    for character in CHARACTERS.values():
        generation = generation_of(character.version)
        assert (generation.creates, generation.newer) == (character.creates, character.newer)
        for arch in character.architectures:
            assert unsupported_reason(character.version, arch, translated=True)
    assert len({generation_of(character.version) for character in CHARACTERS.values()}) == 4


@pytest.mark.parametrize(
    ("version", "arch", "translated", "says"),
    [
        ("0.12.10", "gemma3", True, "an engine without LoRA"),
        ("0.5.13", "gemma3", False, ""),
        ("0.12.10", "llama", False, ""),
        ("0.33.0", "gemma3", True, "Ollama from 0.40 on does not load it"),
        ("0.33.0", "gemma3", False, ""),
        ("0.40.1", "gemma3", True, "Ollama 0.40.1 does not load it"),
        ("0.0.0", "qwen3", False, ""),
        ("", "gptoss", True, "Ollama from 0.40 on"),
    ],
)
def test_why_not_run(version, arch, translated, says):
    """The reason names the version where it is this one, and the later one where it is not."""
    why = unsupported_reason(version, arch, translated=translated)
    assert (says in why) if says else not why


@pytest.mark.parametrize(
    ("version", "arch", "tensor", "aborts"),
    [
        ("0.33.0", "glm4", "blk.0.attn_output.weight.lora_a", True),
        ("0.0.0", "glm4moe", "blk.0.ffn_down.weight.lora_b", True),
        ("", "jais2", "blk.0.attn_output.weight.lora_b", True),
        ("0.33.0", "glm4", "blk.0.attn_q.weight.lora_a", False),
        ("0.33.0", "llama", "blk.0.attn_output.weight.lora_a", False),
        ("0.40.1", "glm4", "blk.0.attn_output.weight.lora_a", False),
        ("0.12.10", "glm4", "blk.0.attn_output.weight.lora_a", False),
    ],
)
def test_why_aborts(version, arch, tensor, aborts):
    """The weights that end the runner are told, of the architectures and the versions where they do."""
    why = known_crash(version, arch, ["blk.1.attn_v.weight.lora_a", tensor])
    assert ("without o_proj and down_proj" in why) is aborts


def test_versions_are_in_order():
    """Generations go from old to new."""
    assert list(GENERATIONS) == sorted(GENERATIONS, key=lambda each: each.first)
    assert all(parse_version(".".join(map(str, each.first))) == each.first for each in GENERATIONS)


TRIED = {
    (0, 3, 7): "nothing",
    (0, 5, 5): "a fake daemon of 0.12.10",
    (0, 30, 0): "a fake daemon of 0.33.0; Ollama 0.33.0-rc2",
    (0, 34, 1): "a fake daemon of 0.34.1; Ollama 0.33.0-rc2 behind a proxy that rejects adapters",
    (0, 40, 0): "a fake daemon of 0.40.2",
}

HEAD = """# Which delivery works with which Ollama

`make goldens` writes this page from `ollama_pack/ollama/versions.py`, and `make test` checks it. The column
for `auto` comes from running ollama-pack against a fake daemon of each version.

| Ollama | `create` | `pull` | `store` | `auto` chooses | models with an adapter that it runs | tested with |
|---|---|---|---|---|---|---|
"""

TAIL = """
- `create` uploads the adapter, and the daemon creates the model. The daemon may be on another machine.
- `pull` lets the daemon pull the finished model from a registry on loopback. The daemon must be on the same
  machine.
- `store` writes the model into the model store. It needs write access to the store, but no daemon.
- `folder` only writes files. It works with every Ollama, and without one.
- `auto` asks the daemon for its version, and tries `create` unless that version rejects adapters. A daemon
  built from source reports 0.0.0, so `auto` tries `create` there. If the daemon rejects the adapter, `auto`
  uses `pull`. If no daemon answers, it uses `store`; if `OLLAMA_HOST` names the daemon that does not answer,
  it stops with exit code 6. If the base is a GGUF file, it uses `store` or `pull`, because `create` would
  give the model another prompt template.
- From 0.40 on a model may have a list of manifests, one for each engine. Every delivery takes the one for
  llama.cpp as the base. If only the one for Ollama up to 0.34 is there, run the base once to convert it.
- In every delivery to a daemon, the daemon loads the model under a temporary name and answers prompts. Only
  then does the model get its name. If the proof fails, ollama-pack says why, and nothing has changed.
"""


def page(taken: Mapping[tuple[int, int, int], str]) -> str:
    """Return docs/delivery.md; `taken` is the delivery that ``auto`` chooses at each generation."""
    rows = []
    for each, following in zip(GENERATIONS, (*GENERATIONS[1:], None), strict=True):
        first = ".".join(map(str, each.first))
        span = f"{first} and later" if following is None else f"{first} to before {_short(following.first)}"
        layout = "yes, `manifests-v2`" if each.newer else "yes"
        row = (span, "yes" if each.creates else "no", "yes", layout, f"`{taken[each.first]}`", each.runs)
        rows.append("| " + " | ".join((*row, TRIED[each.first])) + " |")
    return HEAD + "\n".join(rows) + "\n" + TAIL


def _short(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def test_page_golden(request, models, package):
    """docs/delivery.md says what the table says, and what ``auto`` then chooses."""
    taken = {}
    with fake_daemon.running(models) as fake:
        for each in GENERATIONS:
            fake.becomes(_short(each.first), creates=each.creates)
            taken[each.first] = choose.plan_delivery(package, OllamaLocations(fake.address, ())).via
    text = page(taken)
    if request.config.getoption("--update-goldens"):
        DOCUMENT.write_text(text, "utf-8")
    assert DOCUMENT.read_text("utf-8") == text
