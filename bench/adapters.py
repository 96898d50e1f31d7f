"""Make the adapters that are measured: random weights in the shapes of Llama-2-7B and Qwen3-30B-A3B.

Run as a program of its own (``python bench/adapters.py FOLDER``), so that the measuring process
stays small: Linux counts a parent's memory into the peak of a child it has just forked.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BLOCKS, HIDDEN, FEED_FORWARD = 32, 4096, 11008
BASE_ID = "meta-llama/Llama-2-7b-hf"
BASE_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "intermediate_size": FEED_FORWARD,
    "max_position_embeddings": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": BLOCKS,
    "num_key_value_heads": 32,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (FEED_FORWARD, HIDDEN),
    "mlp.up_proj": (FEED_FORWARD, HIDDEN),
    "mlp.down_proj": (HIDDEN, FEED_FORWARD),
}
ADAPTERS = {"big": (tuple(SHAPES), 64), "small": (("self_attn.q_proj", "self_attn.v_proj"), 8)}
"""Name → adapted modules and rank; all in bfloat16."""

EXPERT_BLOCKS, EXPERTS, EXPERT_HIDDEN, EXPERT_FEED_FORWARD = 48, 128, 2048, 768
MIXTURE_ID = "Qwen/Qwen3-30B-A3B"
MIXTURE_CONFIG = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": EXPERT_HIDDEN,
    "intermediate_size": 6144,
    "max_position_embeddings": 40960,
    "moe_intermediate_size": EXPERT_FEED_FORWARD,
    "num_attention_heads": 32,
    "num_experts": EXPERTS,
    "num_experts_per_tok": 8,
    "num_hidden_layers": EXPERT_BLOCKS,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": False,
    "vocab_size": 151936,
}
EXPERT_SHAPES = {
    "down_proj": (EXPERT_HIDDEN, EXPERT_FEED_FORWARD),
    "gate_proj": (EXPERT_FEED_FORWARD, EXPERT_HIDDEN),
    "up_proj": (EXPERT_FEED_FORWARD, EXPERT_HIDDEN),
}

NamedShapes = Sequence[tuple[str, tuple[int, int], float]]
"""Name, shape and spread of every tensor of a file, in its order."""


def write_adapter(
    folder: Path, base_id: str, modules: Sequence[str], rank: int, tensors: NamedShapes
) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as PEFT lays them out."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "base_model_name_or_path": base_id,
        "bias": "none",
        "lora_alpha": 16,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": [module.rpartition(".")[2] for module in modules],
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2), "utf-8")
    header, end = {}, 0
    for name, shape, _ in tensors:
        start, end = end, end + 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(rank)
    with (folder / "adapter_model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape, spread in tensors:
            numbers = rng.standard_normal(shape, np.float32) * np.float32(spread)
            file.write((numbers.view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes())


def factors_of(module: str, shape: tuple[int, int], rank: int) -> NamedShapes:
    """Return A and B of a module: A as PEFT starts it, B as training leaves it."""
    (rows, columns), name = shape, f"base_model.model.model.layers.{module}"
    return (
        (f"{name}.lora_A.weight", (rank, columns), columns**-0.5 / 3**0.5),
        (f"{name}.lora_B.weight", (rows, rank), 0.01),
    )


def dense_tensors(modules: Sequence[str], rank: int) -> NamedShapes:
    """Return the tensors of an adapter on the same modules of every block."""
    return [
        factor
        for block in range(BLOCKS)
        for module in modules
        for factor in factors_of(f"{block}.{module}", SHAPES[module], rank)
    ]


def expert_tensors(rank: int) -> NamedShapes:
    """Return the tensors of an adapter on every expert by itself, ordered by name as PEFT's file has them."""
    return sorted(
        factor
        for block in range(EXPERT_BLOCKS)
        for expert in range(EXPERTS)
        for module, shape in EXPERT_SHAPES.items()
        for factor in factors_of(f"{block}.mlp.experts.{expert}.{module}", shape, rank)
    )


def main() -> None:
    """Write what is not there yet, and the configurations of the bases."""
    folder = Path(sys.argv[1])
    for name, (modules, rank) in ADAPTERS.items():
        if not (folder / name / "adapter_model.safetensors").exists():
            write_adapter(folder / name, BASE_ID, modules, rank, dense_tensors(modules, rank))
    if not (folder / "experts" / "adapter_model.safetensors").exists():
        write_adapter(folder / "experts", MIXTURE_ID, tuple(EXPERT_SHAPES), 1, expert_tensors(1))
    for name, config in (("base", BASE_CONFIG), ("mixture", MIXTURE_CONFIG)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "config.json").write_text(json.dumps(config, indent=2), "utf-8")


if __name__ == "__main__":
    main()
