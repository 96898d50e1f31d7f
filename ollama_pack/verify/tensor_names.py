"""The names of llama.cpp's tensors for the modules of Hugging Face, stated for the proof alone.

The names come from what a module is and where it stands, not from the table of architectures: the last word
of its name says what it is, the word before says what it belongs to. A name of one family only is an
exception.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from ollama_pack.arch.hparams import HParams

EMBEDDING_NAME, HEAD_NAME = "token_embd", "output"
"""llama.cpp's names of the two tensors outside the blocks, the second of which many models lack."""

_OUTSIDE = {
    **dict.fromkeys(("embed_tokens", "tok_embeddings", "word_embeddings", "wte"), EMBEDDING_NAME),
    **dict.fromkeys(("embed_in", "embeddings", "token_embeddings"), EMBEDDING_NAME),
    **dict.fromkeys(("lm_head", "output", "embed_out", "output_layer"), HEAD_NAME),
}

_ATTENTION_OWNERS = ("self_attn", "attn", "attention", "self_attention")
_ATTENTION = {
    **dict.fromkeys(("q_proj", "q"), ("attn_q",)),
    "k_proj": ("attn_k",),
    "v_proj": ("attn_v",),
    "kv": ("attn_k", "attn_v"),
    **dict.fromkeys(("qkv_proj", "query_key_value", "c_attn", "Wqkv"), ("attn_qkv",)),
    **dict.fromkeys(("wqkv", "W_pack"), ("attn_q", "attn_k", "attn_v")),
    **dict.fromkeys(("o_proj", "out_proj", "c_proj", "dense", "wo", "linear_attn"), ("attn_output",)),
    "gate_proj": ("attn_gate",),
}

_FEED_FORWARD_NAMES = {
    **dict.fromkeys(("gate_proj", "w1", "gate", "c_fc_0", "c_fc2"), ("ffn_gate",)),
    **dict.fromkeys(("up_proj", "w3", "up", "c_fc_1", "c_fc", "fc1", "dense_h_to_4h"), ("ffn_up",)),
    **dict.fromkeys(("down_proj", "w2", "down", "c_proj", "fc2", "dense_4h_to_h"), ("ffn_down",)),
    **dict.fromkeys(("proj_2", "output_linear"), ("ffn_down",)),
    **dict.fromkeys(("gate_up_proj", "input_linear", "proj_1"), ("ffn_gate", "ffn_up")),
}

_ROUTERS = ("gate.wg", "router", "router.gate", "router.layer", "router.proj", "primary_router")
_SHARED_EXPERTS = ("shared_expert", "shared_experts", "shared_mlp")

_STATE_SPACE: dict[str, tuple[str, ...]] = {
    "in_proj": ("ssm_in",),
    "x_proj": ("ssm_x",),
    "out_proj": ("ssm_out",),
}
_BY_OWNER: dict[str, dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(_ATTENTION_OWNERS, _ATTENTION),
    "mamba": _STATE_SPACE,
    # Layers of Mamba, of attention and of feed-forward share this name; no two of them share a weight's.
    "mixer": {
        **_STATE_SPACE,
        **{name: _ATTENTION[name] for name in ("q_proj", "k_proj", "v_proj", "o_proj")},
    },
    "linear_attn": {
        "in_proj_qkv": ("attn_qkv",),
        "in_proj_qkvz": ("attn_qkv", "attn_gate"),
        "in_proj_z": ("attn_gate",),
        "in_proj_a": ("ssm_alpha",),
        "in_proj_b": ("ssm_beta",),
        "in_proj_ba": ("ssm_ba",),
        "out_proj": ("ssm_out",),
    },
    "conv": {"in_proj": ("shortconv.in_proj",), "out_proj": ("shortconv.out_proj",)},
    "laurel": {"linear_left": ("laurel_l",), "linear_right": ("laurel_r",)},
    "altup": {"prediction_coefs": ("altup_predict_coef",), "correction_coefs": ("altup_correct_coef",)},
    "": {"per_layer_input_gate": ("inp_gate",), "per_layer_projection": ("proj",)},
}
"""The owner of a module → the last word of its name → its tensors."""

_EXCEPTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    # Qwen 1 calls w1 what others call up, and w2 the gate.
    ("qwen", "mlp.w1"): ("ffn_up",),
    ("qwen", "mlp.w2"): ("ffn_gate",),
    # Gate and up stay one tensor.
    **dict.fromkeys(((arch, "mlp.gate_up_proj") for arch in ("phi3", "glm4", "chatglm")), ("ffn_up",)),
    ("gemma4", "experts.gate_up_proj"): ("ffn_gate_up_exps",),
    ("bailingmoe", "attention.query_key_value"): ("attn_q", "attn_k", "attn_v"),
}

_NUMBERED = re.compile(r"(?:^|\.)(\d{1,6})\.")


class ModulePath(NamedTuple):
    """The parts of a module's name.

    Attributes:
        block: the number of its layer, or -1 outside the layers.
        expert: the number of the expert that it belongs to, or -1 if it belongs to no single expert.
        words: its name inside the layer, without the number of an expert.
    """

    block: int
    expert: int
    words: tuple[str, ...]


def parse_module(module: str) -> ModulePath:
    """Return the parts of the name of a module in the text model."""
    found = _NUMBERED.search(module)
    if found is None:
        return ModulePath(-1, -1, tuple(module.split(".")))
    return ModulePath(int(found[1]), *_inside(module[found.end() :]))


@lru_cache(maxsize=1024)  # All layers of a mixture have the same experts.
def _inside(name: str) -> tuple[int, tuple[str, ...]]:
    """Return the number of an expert, or -1, and the other words of a name inside a layer."""
    words = name.split(".")
    numbers = [word for word in words if word.isdigit()]
    return int(numbers[0]) if numbers else -1, tuple(word for word in words if not word.isdigit())


def tensor_names(path: ModulePath, base: HParams) -> tuple[str, ...]:
    """Return the full names of the tensors that hold a module's weight, or () if none is known.

    These are the names of llama.cpp's converter; a base may join or split q, k and v (see `reference`).
    """
    if path.block < 0:
        name = _OUTSIDE.get(path.words[-1])
        return (f"{name}.weight",) if name else ()
    return tuple(f"blk.{path.block}.{name}.weight" for name in _in_block(path.words, base))


def _in_block(words: tuple[str, ...], base: HParams) -> tuple[str, ...]:
    """Return the tensors of a module inside a layer, without the number of the layer."""
    *owners, leaf = words
    owner = owners[-1] if owners else ""
    exception = _EXCEPTIONS.get((base.arch, f"{owner}.{leaf}"))
    if exception is not None:
        return exception
    if leaf == "shared_expert_gate":
        return ("ffn_gate_inp_shexp",)
    if words[-2:] == (owner, "gate") and owner != "experts":
        return ("ffn_gate_inp",)
    if ".".join(words).endswith(tuple(f".{name}" for name in _ROUTERS)) or ".".join(words) in _ROUTERS:
        return ("ffn_gate_inp",)
    names = _BY_OWNER.get(owner, {}).get(leaf)
    if names is not None:
        return names
    return tuple(f"{name}{_suffix(words, base)}" for name in _FEED_FORWARD_NAMES.get(leaf, ()))


def _suffix(words: tuple[str, ...], base: HParams) -> str:
    """Return what llama.cpp appends to the names of a feed-forward block."""
    owner = words[-2] if len(words) > 1 else ""
    granite_block = base.arch == "granite" or (base.arch == "granitehybrid" and not base.experts)
    if owner == "experts" or (owner == "block_sparse_moe" and words[-1] in ("input_linear", "output_linear")):
        return "_exps"
    # The block that stands beside the experts of a Granite is the only one in a Granite without experts.
    return "_shexp" if owner in _SHARED_EXPERTS and not granite_block else ""
