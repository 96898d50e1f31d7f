"""GLM-4 and later: gate and up are fused on both sides, and separate in the experts of GLM-4.5."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    HEAD,
    LAYER,
    attention,
    embedding,
    fused_attention,
    fused_gate,
    head,
    moe,
)
from ollama_pack.arch.spec import Arch, Weight

_ENCODER = "transformer.encoder.layers.{i}"
GLM4 = Arch(
    name="glm4",
    hf_classes=("Glm4ForCausalLM",),
    weights=(*attention(), *fused_gate(f"{LAYER}.mlp"), HEAD, EMBEDDING),
)
CHATGLM = Arch(
    name="chatglm",
    hf_classes=("GlmForCausalLM", "ChatGLMModel", "ChatGLMForConditionalGeneration"),
    weights=(
        *GLM4.weights,
        *fused_attention(f"{_ENCODER}.self_attention", "query_key_value", "dense"),
        Weight(f"{_ENCODER}.mlp.dense_h_to_4h", "blk.{i}.ffn_up", None, ("unknown", "hidden")),
        Weight(f"{_ENCODER}.mlp.dense_4h_to_h", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
        head("transformer.output_layer"),
        embedding("transformer.embedding.word_embeddings"),
    ),
)
GLM4MOE = Arch(
    name="glm4moe",
    hf_classes=("Glm4MoeForCausalLM",),
    weights=(
        *attention(),
        *moe(shared="shared_experts"),
        HEAD,
        EMBEDDING,
    ),
)
