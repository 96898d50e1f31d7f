"""What the classes of ``record_foreign.py`` have in common: their sizes, and how Llama names its weights."""

from dataclasses import dataclass, field
from typing import Any

HIDDEN, INNER, HEADS, KV, HEAD = 32, 48, 4, 2, 8
LLAMA = {
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
Shapes = dict[str, tuple[int, ...]]
LAYER = "model.layers.{i}"


@dataclass(frozen=True)
class Foreign:
    """A class that is not in transformers: its config.json, and its weights in layer {i} and outside.

    `second` are the weights of the second layer, where it is built otherwise than the first. `moved_columns`
    names a module, and its tensor, of a class that has one size only, of which slices are kept.
    """

    name: str
    model: str
    config: dict[str, Any]
    layer: Shapes
    outside: Shapes = field(default_factory=dict)
    second: Shapes = field(default_factory=dict)
    moved_columns: tuple[str, str] | None = None


def under(module: str, shapes: Shapes) -> Shapes:
    """Return the weights of modules that lie in another."""
    return {f"{module}.{name}.weight": shape for name, shape in shapes.items()}


def attention(kv: int = KV, module: str = f"{LAYER}.self_attn") -> Shapes:
    """Return the weights of q, k, v and o, as Llama names them."""
    shapes: Shapes = {
        "q_proj": (HEADS * HEAD, HIDDEN),
        "k_proj": (kv * HEAD, HIDDEN),
        "v_proj": (kv * HEAD, HIDDEN),
        "o_proj": (HIDDEN, HEADS * HEAD),
    }
    return under(module, shapes)


def gated(
    module: str = f"{LAYER}.mlp", inner: int = INNER, names: str = "gate_proj up_proj down_proj"
) -> Shapes:
    """Return the weights of the gate, of what it gates, and of the way back."""
    gate, up, down = names.split()
    return under(module, {gate: (inner, HIDDEN), up: (inner, HIDDEN), down: (HIDDEN, inner)})


def norms(module: str = LAYER, names: str = "input_layernorm post_attention_layernorm") -> Shapes:
    """Return the weights of norms over the hidden size."""
    return under(module, dict.fromkeys(names.split(), (HIDDEN,)))


def llama_layer(kv: int = KV, *, norms: str = "weight") -> Shapes:
    """Return the weights of a layer as Llama names them; `norms` is what a norm has."""
    found = {**attention(kv), **gated()}
    for norm in ("input_layernorm", "post_attention_layernorm"):
        found |= {f"{LAYER}.{norm}.{part}": (HIDDEN,) for part in norms.split()}
    return found


def around(vocab: int, *, norms: str = "weight") -> Shapes:
    """Return what lies outside the layers of a Llama."""
    found = {"model.embed_tokens.weight": (vocab, HIDDEN), "lm_head.weight": (vocab, HIDDEN)}
    return found | {f"model.norm.{part}": (HIDDEN,) for part in norms.split()}
