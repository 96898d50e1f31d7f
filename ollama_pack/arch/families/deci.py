"""DeciLM (Llama-Nemotron): Llama, but some layers have one linear weight in place of attention."""

from ollama_pack.arch.blocks import SELF_ATTENTION, gated_decoder
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import Arch, Weight

DECI = Arch(
    name="deci",
    hf_classes=("DeciLMForCausalLM",),
    weights=(
        *gated_decoder(rope_q, rope_k),
        # The linear weight that takes the place of attention in some layers.
        Weight(f"{SELF_ATTENTION}.linear_attn", "blk.{i}.attn_output", None, ("hidden", "heads")),
    ),
)
