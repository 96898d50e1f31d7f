"""Right pairs for the base proof: a base of the catalog, a header of it, and an adapter that fits."""

from dataclasses import replace
from pathlib import Path

from real_names import RIGHT

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.catalog import base_from_entry
from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.lookup import find_entry
from ollama_pack.base.model import Positions
from ollama_pack.gguf.model_info import ModelInfo, Vocabulary
from ollama_pack.gguf.reader import GgufFile

ID = "meta-llama/Llama-3.1-8B-Instruct"
POSITIONS = Positions(rope_base=500000.0, context=131072, norm_epsilon=1e-5)


def tokens(count: int = 40) -> dict[int, str]:
    return {0: "<unk>", 1: "<s>", 2: "</s>", **{number: f"\u2581w{number}" for number in range(3, count)}}


def vocabulary(**changes) -> Vocabulary:
    """Return a vocabulary with its special tokens."""
    return replace(Vocabulary(tokens(), {"bos": 1, "eos": 2, "pad": 0}, "tokenizer.json"), **changes)


def header(sizes: HParams, name: str, **extra) -> ModelInfo:
    """Return what a GGUF file of a base says, made by llama.cpp's converter."""
    arch = sizes.arch
    metadata = {
        "general.architecture": arch,
        "general.name": name,
        f"{arch}.block_count": sizes.blocks,
        f"{arch}.embedding_length": sizes.hidden,
        f"{arch}.attention.head_count": sizes.heads,
        f"{arch}.attention.head_count_kv": sizes.kv_heads,
        f"{arch}.attention.key_length": sizes.head_dim,
        f"{arch}.feed_forward_length": sizes.feed_forward,
        f"{arch}.attention.layer_norm_rms_epsilon": 9.999999747378752e-06,
        f"{arch}.rope.freq_base": 500000.0,
        f"{arch}.context_length": 131072,
        **extra,
    }
    shapes = {"token_embd.weight": (40, sizes.hidden)}
    shapes |= {
        f"blk.{block}.attn_output.weight": (sizes.hidden, sizes.hidden) for block in range(sizes.blocks)
    }
    return ModelInfo(name, {key: value for key, value in metadata.items() if value}, shapes, vocabulary())


def lora(sizes: HParams, arch: str = "", width: int = 0) -> GgufFile:
    """Return the header of an adapter that changes every block."""
    rank, hidden = 4, width or sizes.hidden
    shapes = {}
    for block in range(sizes.blocks):
        shapes[f"blk.{block}.attn_output.weight.lora_a"] = (rank, hidden)
        shapes[f"blk.{block}.attn_output.weight.lora_b"] = (hidden, rank)
    metadata = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 8.0}
    return GgufFile(Path("l.gguf"), {**metadata, "general.architecture": arch or sizes.arch}, shapes, {}, {})


def trained(base_id: str = ID, **changes) -> ExpectedBase:
    """Return what is known of a base in the catalog, with its tokenizer."""
    entry = find_entry(base_id)
    numbers = base_from_entry(entry).hparams
    known = ExpectedBase(
        base_id=entry.source_id, hparams=numbers, vocabulary=vocabulary(), blocks=numbers.blocks
    )
    positions = {key: changes.pop(key) for key in ("rope_base", "context", "norm_epsilon") if key in changes}
    return replace(known, positions=replace(POSITIONS, **positions), **changes)


BASE = base_from_entry(find_entry(ID)).hparams
SEEN = header(BASE, RIGHT[ID])
