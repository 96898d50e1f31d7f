"""HunYuan: the dense models, the mixtures of experts, and HY V3."""

from ollama_pack.arch.blocks import HEAD_AND_EMBEDDING, attention, gated_decoder, moe, moe_decoder
from ollama_pack.arch.spec import Arch

HUNYUAN = Arch(name="hunyuan-dense", hf_classes=("HunYuanDenseV1ForCausalLM",), weights=gated_decoder())
HY_V3 = moe_decoder("hy_v3", "HYV3ForCausalLM")
HUNYUAN_MOE = Arch(
    name="hunyuan-moe",
    hf_classes=("HunYuanMoEV1ForCausalLM",),
    weights=(*attention(), *moe(gate="gate.wg", shared="shared_mlp", block=False), *HEAD_AND_EMBEDDING),
)
