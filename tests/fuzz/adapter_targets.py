"""Files of an adapter's directory, and models: what a stranger's repository holds."""

import json
from pathlib import Path

import numpy as np
from recipes import safetensors, with_header, write_model
from target import Target

from ollama_pack.base.gguf_header import base_of_header
from ollama_pack.base.hf_config import read_config
from ollama_pack.gguf.model_info import model_info_of
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.peft.chat_template import read_chat_template
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.run.pickle_scan import scan
from ollama_pack.run.trainer_log import read_log

GOLDENS = Path(__file__).parents[1] / "goldens"
RUN = GOLDENS / "run" / "babbage-lora"
EXAMPLE = Path(__file__).parents[2] / "examples" / "ada-lovelace-lora"
SCRATCH_SEEDS: dict[str, bytes] = {}

CONFIG = {
    "peft_type": "LORA",
    "r": 4,
    "lora_alpha": 8,
    "base_model_name_or_path": "a/b",
    "target_modules": ["q_proj"],
    "rank_pattern": {"q_proj": 4},
    "alpha_pattern": {"layers.0.self_attn.q_proj": 8},
    "use_rslora": True,
    "target_parameters": ["mlp.experts.gate_up_proj"],
    "modules_to_save": None,
    "init_lora_weights": True,
}
MLX_CONFIG = {
    "lora_parameters": {"rank": 4, "scale": 2.0, "alpha": 8},
    "lora_layers": 4,
    "fine_tune_type": "lora",
    "model": "a/b",
}
CONFIGS = (
    *[CONFIG] * 4,
    {
        **CONFIG,
        "peft_type": "ADALORA",
        "init_r": 4,
        "rank_pattern": {"model.layers.0.self_attn.q_proj.lora_E": [True]},
    },
    {**CONFIG, "peft_type": "LOHA", "alpha": 8},
    {**CONFIG, "use_dora": True, "layer_replication": [[0, 2]], "trainable_token_indices": [1, 2]},
)
HF_CONFIGS = (
    {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_size": 64,
        "num_key_value_heads": 2,
        "intermediate_size": 128,
        "vocab_size": 100,
        "rope_theta": 1e4,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
        "head_dim": 16,
    },
    {
        "architectures": ["FalconH1ForCausalLM"],
        "num_hidden_layers": [2, 3],
        "num_attention_heads": 4,
        "hidden_size": 64,
        "ssm_multipliers": [1, 1, 1, 1, 1],
        "embedding_multiplier": 2,
        "attention_in_multiplier": 1,
        "attention_out_multiplier": 1,
        "key_multiplier": 1,
        "mlp_multipliers": [1, 2],
        "ssm_in_multiplier": 1,
        "ssm_out_multiplier": 1,
        "lm_head_multiplier": 2,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
    },
    {
        "architectures": ["DeciLMForCausalLM"],
        "num_hidden_layers": 2,
        "text_config": {"num_attention_heads": [4, 2]},
        "hidden_size": 8,
        "layer_types": ["mamba"],
        "rope_parameters": {"rope_theta": 5},
        "layers_block_type": ["moe"],
    },
)


def seed_files(name: str, make) -> bytes:
    """Return a file that is made once."""
    if name not in SCRATCH_SEEDS:
        SCRATCH_SEEDS[name] = make()
    return SCRATCH_SEEDS[name]


def in_folder(name: str, read):
    """Return a reader of a file of this name in a folder."""

    def reader(content: bytes, place: Path) -> object:
        (place / name).write_bytes(content)
        return read(place)

    return reader


def read_model(place: Path) -> None:
    header = read_gguf(place / "x.gguf")
    base_of_header(header)
    model_info_of(header)


def tiny_models() -> list[bytes]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        whole = write_model(Path(folder) / "x.gguf").read_bytes()
    return [whole, (GOLDENS / "run" / "babbage-tiny.gguf").read_bytes()[: 1 << 15]]


WEIGHTS = safetensors(
    {f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight": np.ones((4, 4)) for side in "AB"}
)
MLX = safetensors({f"model.layers.0.self_attn.q_proj.lora_{side}": np.ones((4, 4)) for side in "ab"})


def read_configured(place: Path) -> object:
    """Read an adapter whose configuration is fuzzed."""
    (place / "adapter_model.safetensors").write_bytes(WEIGHTS)
    return read_adapter(place)


def read_weights(place: Path) -> object:
    """Read an adapter whose weights are fuzzed."""
    (place / "adapter_config.json").write_text(json.dumps(CONFIG))
    return read_adapter(place)


def read_mlx(place: Path) -> object:
    """Read an adapter of mlx-lm whose configuration or whose weights are fuzzed."""
    for name, content in (
        ("adapter_config.json", json.dumps(MLX_CONFIG).encode()),
        ("adapters.safetensors", MLX),
    ):
        if not (place / name).exists():
            (place / name).write_bytes(content)
    return read_adapter(place)


def read_header(content: bytes, place: Path) -> object:
    """Read safetensors whose header is this JSON."""
    (place / "x.safetensors").write_bytes(with_header(content, bytes(128)))
    return read_safetensors(place / "x.safetensors")


def read_hf_config(place: Path) -> None:
    config = read_config(place)
    config.positions()
    config.base()


def read_tokenizer_settings(place: Path) -> None:
    (place / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"<s>": 0, "a": 1}}}))
    read_tokenizer(place)
    read_chat_template(place)


def read_shards(place: Path) -> object:
    (place / "a.safetensors").write_bytes(WEIGHTS)
    (place / "adapter_config.json").write_text(json.dumps(CONFIG))
    return read_adapter(place)


def as_seeds(*documents: object):
    """Return a function that returns documents as JSON."""
    return lambda: [json.dumps(each).encode() for each in documents]


def files(*paths: Path, most: int = 1 << 15):
    """Return a function that returns the contents of files."""
    return lambda: [path.read_bytes()[:most] for path in paths]


TOKENIZER = {
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b", ["a", "b"]]},
    "added_tokens": [{"id": 3, "content": "<s>"}],
}
UNIGRAM = {"model": {"type": "Unigram", "vocab": [["a", -1.0], ["b", 0]]}, "added_tokens": None}
SETTINGS = {
    "bos_token": "<s>",
    "eos_token": {"content": "a"},
    "added_tokens_decoder": {"0": {"content": "<s>"}},
    "chat_template": [{"name": "default", "template": "{{ x }}"}],
}
INDEX = {"weight_map": {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": "a.safetensors"}}

ADAPTER_TARGETS = (
    Target("GGUF", in_folder("x.gguf", read_model), tiny_models),
    Target(
        "safetensors",
        in_folder("x.safetensors", lambda it: read_safetensors(it / "x.safetensors")),
        lambda: [WEIGHTS, MLX],
    ),
    Target(
        "adapter weights",
        in_folder("adapter_model.safetensors", read_weights),
        lambda: [WEIGHTS, MLX],
        share=0.4,
    ),
    Target("tokenizer.model", in_folder("tokenizer.model", read_tokenizer), files(RUN / "tokenizer.model")),
    Target(
        "tokenizer.json",
        in_folder("tokenizer.json", read_tokenizer),
        as_seeds(TOKENIZER, UNIGRAM),
        ("model", "vocab", "merges", "added_tokens", "id", "content"),
        is_json=True,
    ),
    Target(
        "tokenizer_config.json",
        in_folder("tokenizer_config.json", read_tokenizer_settings),
        as_seeds(SETTINGS),
        tuple(SETTINGS),
        is_json=True,
    ),
    Target(
        "adapter_config.json",
        in_folder("adapter_config.json", read_configured),
        as_seeds(*CONFIGS),
        tuple(CONFIG),
        is_json=True,
        share=0.3,
    ),
    Target(
        "config.json",
        in_folder("config.json", read_hf_config),
        as_seeds(*HF_CONFIGS),
        tuple({key: 0 for each in HF_CONFIGS for key in each}),
        is_json=True,
    ),
    Target(
        "trainer_state.json",
        in_folder("trainer_state.json", read_log),
        files(RUN / "checkpoint-10" / "trainer_state.json"),
        ("log_history", "step", "loss", "global_step", "epoch", "best_metric", "best_model_checkpoint"),
        is_json=True,
    ),
    Target(
        "torch .bin archive",
        in_folder("x.bin", lambda it: scan(it / "x.bin")),
        files(
            RUN / "training_args.bin",
            RUN / "checkpoint-10" / "scheduler.pt",
            RUN / "checkpoint-10" / "rng_state.pth",
        ),
    ),
    Target(
        "shards",
        in_folder("adapter_model.safetensors.index.json", read_shards),
        as_seeds(INDEX),
        ("weight_map", "metadata"),
        is_json=True,
        share=0.3,
    ),
    Target(
        "MLX settings",
        in_folder("adapter_config.json", read_mlx),
        as_seeds(MLX_CONFIG),
        (
            "lora_parameters",
            "rank",
            "scale",
            "alpha",
            "lora_layers",
            "num_layers",
            "fine_tune_type",
            "use_dora",
            "model",
        ),
        is_json=True,
        share=0.3,
    ),
    Target("MLX weights", in_folder("adapters.safetensors", read_mlx), lambda: [MLX, WEIGHTS], share=0.3),
    Target(
        "safetensors header",
        read_header,
        lambda: [WEIGHTS[8:-128], MLX[8:-128]],
        ("dtype", "shape", "data_offsets", "__metadata__", "F32", "a"),
        is_json=True,
    ),
)
