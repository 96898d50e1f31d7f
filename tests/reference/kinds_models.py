"""The tiny models that the kinds of adapters are made for: random weights from seeds, two layers."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import record
import sentencepiece
import torch
import transformers

Model = transformers.PreTrainedModel

CONVERTER = Path(__file__).with_name("convert_base.py")
"""llama.cpp's converter, told to take the sentencepiece model for every architecture."""


@dataclass(frozen=True)
class Base:
    """A model that adapters are made for: how to build it anew, and what it is asked."""

    name: str
    build: Callable[[], Model]
    tokens: torch.Tensor
    columns: torch.Tensor | None = None
    noise: float = 0.3
    """How far training has moved an adapter's weights."""

    def ask(self, model: torch.nn.Module, tokens: torch.Tensor | None = None) -> record.Array:
        """Return tokens × vocabulary, or × the columns that are kept; float32."""
        asked = self.tokens if tokens is None else tokens
        found = record.logits(model, asked)[-len(asked) :]
        return found if self.columns is None else found[:, self.columns.numpy()]


@dataclass(frozen=True)
class Tiny:
    """A tiny architecture that `record.py` does not have."""

    name: str
    config: type[transformers.PretrainedConfig]
    model: type[Model]
    settings: dict[str, Any]
    written: dict[str, Any] = field(default_factory=dict)
    """Keys that llama.cpp's converter reads and transformers no longer writes."""
    flipped: tuple[str, ...] = ()
    """What stands in the names of the weights that are stored (in, out)."""


COMMON = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "pad_token_id": None,
}
MOST = {**COMMON, "head_dim": 8, "num_experts_per_tok": 2}
TINY = (
    Tiny(
        "qwen3moe",
        transformers.Qwen3MoeConfig,
        transformers.Qwen3MoeForCausalLM,
        {
            **MOST,
            "num_experts": 4,
            "moe_intermediate_size": 20,
            "intermediate_size": 36,
            "norm_topk_prob": True,
        },
    ),
    Tiny(
        "mixtral",
        transformers.MixtralConfig,
        transformers.MixtralForCausalLM,
        {**MOST, "num_local_experts": 4, "intermediate_size": 20, "sliding_window": None},
    ),
    Tiny(
        "gptoss",
        transformers.GptOssConfig,
        transformers.GptOssForCausalLM,
        {
            **MOST,
            "num_local_experts": 4,
            "intermediate_size": 20,
            "sliding_window": 64,
            # The two implementations of YaRN round its borders differently, and would differ by 2 %.
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        flipped=("experts",),
    ),
    Tiny(
        "gpt2",
        transformers.GPT2Config,
        transformers.GPT2LMHeadModel,
        {
            "n_embd": 24,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 64,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": None,
        },
        written={"n_ctx": 64},
        flipped=(".c_",),
    ),
    Tiny(
        "deepseek2",
        transformers.DeepseekV2Config,
        transformers.DeepseekV2ForCausalLM,
        {
            **COMMON,
            "num_key_value_heads": 4,
            "num_experts_per_tok": 2,
            "q_lora_rank": 10,
            "kv_lora_rank": 14,
            "qk_nope_head_dim": 6,
            "qk_rope_head_dim": 8,
            "v_head_dim": 10,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "first_k_dense_replace": 1,
            "moe_intermediate_size": 20,
            "intermediate_size": 36,
        },
    ),
)
RECORDED = tuple(model for model in record.MODELS if model.name in ("llama", "llama-tied", "qwen2"))
"""The models whose base GGUF lies beside the records of `record.py`."""


def vocabulary() -> int:
    """Return the size of the tokenizer that all tiny models share."""
    return sentencepiece.SentencePieceProcessor(model_proto=record.tokenizer_model()).get_piece_size()


def tiny_tokens(vocab: int) -> torch.Tensor:
    """Return the tokens that `record.py` asks about."""
    return torch.randint(3, vocab, (record.TOKENS,), generator=torch.Generator().manual_seed(1))


def fill(model: Model, tiny: Tiny) -> None:
    """Give a model random weights, large enough that attention and routing are far from uniform."""
    generator = torch.Generator().manual_seed(sum(tiny.name.encode()))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "norm" in name or ".ln_" in name:
                weight.copy_(1 + 0.1 * noise)
            elif weight.ndim == 1 or "bias" in name or "embed" in name:
                weight.copy_(0.5 * noise)
            else:
                flipped = any(part in name for part in tiny.flipped)
                weight.copy_(1.5 * noise / weight.shape[-2 if flipped else -1] ** 0.5)


def build_tiny(tiny: Tiny, vocab: int) -> Model:
    """Return the model, always the same."""
    config = tiny.config(**tiny.settings, vocab_size=vocab, attn_implementation="eager")
    built = tiny.model(config).float().eval()
    fill(built, tiny)
    built.name_or_path = built.config.name_or_path = f"ollama-pack/tiny-{tiny.name}"
    return built


def tiny_bases() -> dict[str, Base]:
    """Return every tiny model by its name."""
    vocab = vocabulary()
    tokens = tiny_tokens(vocab)
    old = {model.name: Base(model.name, partial(record.build, model, vocab), tokens) for model in RECORDED}
    new = {tiny.name: Base(tiny.name, partial(build_tiny, tiny, vocab), tokens) for tiny in TINY}
    return {**old, **new}


def write_checkpoint(base: Base, folder: Path) -> None:
    """Write a tiny model as transformers does, with the keys and the tokenizer that llama.cpp needs."""
    base.build().save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(record.tokenizer_model())
    path = folder / "config.json"
    more = {tiny.name: tiny.written for tiny in TINY}.get(base.name, {})
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **more}, indent=2), "utf-8")


def write_base_gguf(base: Base, llama_cpp: Path, target: Path) -> None:
    """Bring a tiny model to GGUF with llama.cpp's own converter, so that its row orders are not ours."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / f"tiny-{base.name}"
        write_checkpoint(base, checkpoint)
        command = [sys.executable, str(CONVERTER), str(llama_cpp), str(checkpoint)]
        subprocess.run([*command, "--outtype", "f32", "--outfile", str(target)], check=True)
