"""StarCoder 1 and 2: no gate; the first has q, k and v in one, on both sides."""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, attention, embedding, fused_attention, plain
from ollama_pack.archs.row import Arch

_BLOCK = "transformer.h.{i}"

STARCODER = Arch(
    name="starcoder",
    classes=("GPTBigCodeForCausalLM",),
    tied=True,
    weights=(
        *fused_attention(f"{_BLOCK}.attn", "c_attn", "c_proj"),
        *plain(f"{_BLOCK}.mlp", "c_fc", "c_proj"),
        HEAD,
        embedding("transformer.wte"),
    ),
)
STARCODER2 = Arch(
    name="starcoder2",
    classes=("Starcoder2ForCausalLM",),
    tied=True,
    weights=(*attention(), *plain(f"{LAYER}.mlp", "c_fc", "c_proj"), HEAD, EMBEDDING),
)
