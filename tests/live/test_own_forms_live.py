"""Bases in forms of Ollama's own: what the daemon makes of them has the names and shapes we expect.

The recorded bases are written as Ollama's converter writes them; a LoRA made for such a file must answer like
the same LoRA on the file of llama.cpp's form.
"""

from dataclasses import replace

import pytest
from archive import unpacked
from rewriting import rewrite
from scratch_store import add_base
from tiny_model import base_noun

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.deliver import store
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.ollama.names import parse_name

FORMS = {
    "gptoss": (
        "gptoss",
        (
            (".attn_output.", ".attn_out."),
            (".post_attention_norm.", ".ffn_norm."),
            ("_sinks.weight", "_sinks"),
        ),
    ),
    "olmo3": ("olmo3", ()),
    "qwen2vl": ("qwen25vl", ()),
}
"""Record → what Ollama calls its architecture, and the names of its tensors otherwise."""

pytestmark = pytest.mark.live


@pytest.mark.parametrize("row", FORMS)
def test_both_forms_answer_alike(live, package, tmp_path, row):
    """With the LoRA made for each; and the LoRA is felt."""
    arch, renames = FORMS[row]

    def renamed(tensors):
        for old, new in renames:
            tensors = {name.replace(old, new): numbers for name, numbers in tensors.items()}
        return tensors

    folder = unpacked("archs-reference", row)
    plain = folder / "base.gguf"
    own = rewrite(plain, tmp_path / "base.gguf", renamed, arch)
    assert read_base_gguf(own).hparams.arch == read_base_gguf(plain).hparams.arch
    answers = {}
    for form, path in (("plain", plain), ("own", own)):
        tag = f"{row}-{form}"
        add_base(live.store, path, tag=tag)
        lora = write_lora(
            plan_lora(read_adapter(folder), read_base_gguf(path)), tmp_path / f"{form}.lora", "f16"
        )
        name = parse_name(f"{package.name}-{tag}")
        store.write_to_store(replace(package, name=name, adapter=lora, base=base_noun(tag=tag)), live.store)
        answers[form] = live.say(tag), live.say(str(name))
    assert answers["own"] == answers["plain"]
    assert answers["own"][0] != answers["own"][1]
