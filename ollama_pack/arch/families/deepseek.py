"""DeepSeek V1 to V3 and R1, and GLM-4.7 Flash.

In the latent attention (MLA) of V2 and later, llama.cpp applies LoRA only to the output projection. For the
other projections and the head it calls ``ggml_mul_mat`` instead of ``build_lora_mm``
(``src/models/deepseek2.cpp``), so a LoRA on them would load and do nothing.
"""

from ollama_pack.arch.blocks import EMBEDDING, HEAD, LAYER, attention, moe
from ollama_pack.arch.permutations import rope_k, rope_q
from ollama_pack.arch.spec import NOT_APPLIED, Arch, Weight


def not_applied(module: str, tensor: str) -> Weight:
    """Return a weight whose LoRA llama.cpp would load but never apply."""
    return Weight(module, tensor, None, ("unknown", "unknown"), unsupported=NOT_APPLIED)


MLA_ATTENTION = (
    not_applied(f"{LAYER}.self_attn.q_proj", "blk.{i}.attn_q"),
    not_applied(f"{LAYER}.self_attn.q_a_proj", "blk.{i}.attn_q_a"),
    not_applied(f"{LAYER}.self_attn.q_b_proj", "blk.{i}.attn_q_b"),
    not_applied(f"{LAYER}.self_attn.kv_a_proj_with_mqa", "blk.{i}.attn_kv_a_mqa"),
    not_applied(f"{LAYER}.self_attn.kv_b_proj", "blk.{i}.attn_kv_b"),
    Weight(f"{LAYER}.self_attn.o_proj", "blk.{i}.attn_output", None, ("hidden", "unknown")),
)

DEEPSEEK2 = Arch(
    name="deepseek2",
    hf_classes=("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "Glm4MoeLiteForCausalLM"),
    weights=(*MLA_ATTENTION, *moe(shared="shared_experts"), not_applied("lm_head", "output"), EMBEDDING),
)
DEEPSEEK = Arch(
    name="deepseek",
    hf_classes=("DeepseekForCausalLM",),
    weights=(*attention(rope_q, rope_k), *moe(shared="shared_experts"), HEAD, EMBEDDING),
)
