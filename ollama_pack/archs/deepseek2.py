"""DeepSeek V2, V3 and R1, GLM-4.7 Flash, MiniCPM 3: of the attention llama.cpp adapts the output alone.

Everything else of it, and DeepSeek's head, is multiplied without LoRA (``src/models/deepseek2.cpp`` and
``minicpm3.cpp`` call ggml_mul_mat there), so a file would load and those parts do nothing.
"""

from ollama_pack.archs.layouts import EMBEDDING, HEAD, LAYER, gated, mixture
from ollama_pack.archs.row import IGNORED, Arch, Weight


def _ignored(module: str, tensor: str) -> Weight:
    return Weight(module, tensor, None, ("unknown", "unknown"), refused=IGNORED)


_ATTENTION = (
    _ignored(f"{LAYER}.self_attn.q_proj", "blk.{i}.attn_q"),
    _ignored(f"{LAYER}.self_attn.q_a_proj", "blk.{i}.attn_q_a"),
    _ignored(f"{LAYER}.self_attn.q_b_proj", "blk.{i}.attn_q_b"),
    _ignored(f"{LAYER}.self_attn.kv_a_proj_with_mqa", "blk.{i}.attn_kv_a_mqa"),
    _ignored(f"{LAYER}.self_attn.kv_b_proj", "blk.{i}.attn_kv_b"),
    Weight(f"{LAYER}.self_attn.o_proj", "blk.{i}.attn_output", None, ("hidden", "unknown")),
)

DEEPSEEK2 = Arch(
    name="deepseek2",
    classes=("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "Glm4MoeLiteForCausalLM"),
    weights=(*_ATTENTION, *mixture(shared="shared_experts"), _ignored("lm_head", "output"), EMBEDDING),
)
MINICPM3 = Arch(
    name="minicpm3",
    classes=("MiniCPM3ForCausalLM",),
    weights=(*_ATTENTION, *gated(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
