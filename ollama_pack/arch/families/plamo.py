"""PLaMo: llama.cpp's converter reorders the query heads so that those of one key head are neighbours."""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, attention, gated_mlp
from ollama_pack.arch.permutations import by_key_head
from ollama_pack.arch.spec import Arch

_PLAMO_LAYER = "model.layers.layers.{i}"
PLAMO = Arch(
    name="plamo",
    hf_classes=("PlamoForCausalLM",),
    weights=(
        *(
            weight._replace(columns=by_key_head) if weight.module.endswith("o_proj") else weight
            for weight in attention(by_key_head, None, f"{_PLAMO_LAYER}.self_attn")
        ),
        *gated_mlp(f"{_PLAMO_LAYER}.mlp"),
        HEAD,
        EMBEDDING,
    ),
)
