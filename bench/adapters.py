"""Make the adapters that are measured: random weights in the shapes of Llama-2-7B.

Run as a program of its own (``python bench/adapters.py FOLDER``), so that the measuring process
stays small: Linux counts a parent's memory into the peak of a child it has just forked.
"""

import json
import sys
from collections.abc import Iterator
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


def write_adapter(folder: Path, modules: tuple[str, ...], rank: int) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as PEFT lays them out."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "base_model_name_or_path": BASE_ID,
        "bias": "none",
        "lora_alpha": 16,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": [module.rpartition(".")[2] for module in modules],
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2), "utf-8")
    header, end = {}, 0
    for name, shape, _ in tensors(modules, rank):
        start, end = end, end + 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(rank)
    with (folder / "adapter_model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape, spread in tensors(modules, rank):
            numbers = rng.standard_normal(shape, np.float32) * np.float32(spread)
            file.write((numbers.view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes())


def tensors(modules: tuple[str, ...], rank: int) -> Iterator[tuple[str, tuple[int, int], float]]:
    """Yield name, shape and spread of every tensor: A as PEFT starts it, B as training leaves it."""
    for block in range(BLOCKS):
        for module in modules:
            rows, columns = SHAPES[module]
            name = f"base_model.model.model.layers.{block}.{module}"
            yield f"{name}.lora_A.weight", (rank, columns), columns**-0.5 / 3**0.5
            yield f"{name}.lora_B.weight", (rows, rank), 0.01


def main() -> None:
    """Write what is not there yet, and the base's configuration, which the peer reads."""
    folder = Path(sys.argv[1])
    for name, (modules, rank) in ADAPTERS.items():
        if not (folder / name / "adapter_model.safetensors").exists():
            write_adapter(folder / name, modules, rank)
    (folder / "base").mkdir(exist_ok=True)
    (folder / "base" / "config.json").write_text(json.dumps(BASE_CONFIG, indent=2), "utf-8")


if __name__ == "__main__":
    main()
