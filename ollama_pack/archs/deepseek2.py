"""DeepSeek V2, V3 and R1: llama.cpp applies LoRA to the feed-forward blocks and the attention's output.

Everything else of the attention, and the head, is multiplied without it (``src/models/deepseek2.cpp``
calls ggml_mul_mat there), so a file would load and those parts do nothing.
"""

from ollama_pack.archs.layouts import EMBEDDING, LAYER, experts, gated, router
from ollama_pack.archs.row import Arch, Weight


def _ignored(module: str, tensor: str) -> Weight:
    return Weight(module, tensor, None, ("unknown", "unknown"), ignored=True)


DEEPSEEK2 = Arch(
    name="deepseek2",
    classes=("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"),
    weights=(
        _ignored(f"{LAYER}.self_attn.q_proj", "blk.{i}.attn_q"),
        _ignored(f"{LAYER}.self_attn.q_a_proj", "blk.{i}.attn_q_a"),
        _ignored(f"{LAYER}.self_attn.q_b_proj", "blk.{i}.attn_q_b"),
        _ignored(f"{LAYER}.self_attn.kv_a_proj_with_mqa", "blk.{i}.attn_kv_a_mqa"),
        _ignored(f"{LAYER}.self_attn.kv_b_proj", "blk.{i}.attn_kv_b"),
        Weight(f"{LAYER}.self_attn.o_proj", "blk.{i}.attn_output", None, ("hidden", "unknown")),
        *gated(f"{LAYER}.mlp"),
        router(f"{LAYER}.mlp.gate"),
        *experts(f"{LAYER}.mlp.experts"),
        *gated(f"{LAYER}.mlp.shared_experts", "_shexp", "unknown"),
        _ignored("lm_head", "output"),
        EMBEDDING,
    ),
)
