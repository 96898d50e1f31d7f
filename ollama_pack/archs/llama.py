"""The Llama family: Llama, Mistral, Vicuna, TinyLlama, SmolLM2 and everything else that is a Llama."""

from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch, Weight

LLAMA = Arch(
    name="llama",
    classes=("LlamaForCausalLM", "MistralForCausalLM"),
    weights=(
        Weight("model.layers.{i}.self_attn.q_proj", "blk.{i}.attn_q", rope_q, ("heads", "hidden")),
        Weight("model.layers.{i}.self_attn.k_proj", "blk.{i}.attn_k", rope_k, ("kv_heads", "hidden")),
        Weight("model.layers.{i}.self_attn.v_proj", "blk.{i}.attn_v", None, ("kv_heads", "hidden")),
        Weight("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output", None, ("hidden", "heads")),
        Weight("model.layers.{i}.mlp.gate_proj", "blk.{i}.ffn_gate", None, ("feed_forward", "hidden")),
        Weight("model.layers.{i}.mlp.up_proj", "blk.{i}.ffn_up", None, ("feed_forward", "hidden")),
        Weight("model.layers.{i}.mlp.down_proj", "blk.{i}.ffn_down", None, ("hidden", "feed_forward")),
        Weight("lm_head", "output", None, ("vocab", "hidden"), optional=True),
    ),
)
