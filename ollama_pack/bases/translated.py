"""Bases in a form of Ollama's own, which it translates for llama.cpp when it loads them.

Ollama 0.30 to 0.34 do so in memory, and adapters work. From 0.40 on it writes the translation down, and
refuses to where the model has an adapter. Which bases these are follows ``llama/compat`` of Ollama 0.33: an
architecture, and marks in the header that files made by llama.cpp's converter do not have.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

LLAMA3_TOKENS, LLAMA3_END_OF_TEXT = 128256, 128001


@dataclass(frozen=True, slots=True)
class Marks:
    """What tells a file of Ollama's form; one of them is enough, and no marks mean every file.

    Attributes:
        keys: in the metadata; ``*`` stands for the architecture.
        lacking: a key that is not there.
        value: a key and the value that it has.
        tensors: how a tensor's name begins.
        endings: how a tensor's name ends.
    """

    keys: tuple[str, ...] = ()
    lacking: str = ""
    value: tuple[str, str] = ("", "")
    tensors: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()


_QWEN35 = Marks(
    ("*.vision.block_count", "*.image_token_id", "*.ssm.v_head_reordered", "*.rope.mrope_interleaved"),
    tensors=("mtp.", "v."),
)
_QWEN3VL = Marks(lacking="*.rope.dimension_sections")

FORMS: Mapping[str, Marks] = {
    "deepseekocr": Marks(),
    "gemma3": Marks(
        (
            "*.mm.tokens_per_image",
            "*.rope.global.freq_base",
            "*.rope.local.freq_base",
            "tokenizer.ggml.add_padding_token",
            "tokenizer.ggml.add_unknown_token",
        ),
        lacking="*.attention.layer_norm_rms_epsilon",
        tensors=("v.", "mm.", "dense.0."),
    ),
    "gemma4": Marks(
        value=("tokenizer.ggml.model", "llama"), tensors=("a.", "v.", "mm.", "model.vision_tower.")
    ),
    "glm4moelite": Marks(),
    "glmocr": Marks(),
    "gptoss": Marks(),
    "laguna": Marks(("*.rope.swa.dimension_count", "*.rope.swa.freq_base"), tensors=("blk.0.attn_g.",)),
    "lfm2": Marks(tensors=("output_norm.",)),
    "llama4": Marks(tensors=("v.", "mm.")),
    "mistral3": Marks(
        ("*.rope.scaling.beta_fast", "*.rope.scaling.mscale_all_dim", "*.rope.scaling_beta"),
        tensors=("v.", "mm."),
    ),
    "nemotron_h_moe": Marks(tensors=("blk.0.ffn_latent_in", "blk.1.ffn_latent_in", "mtp.")),
    "nemotron_h_omni": Marks(tensors=("v.", "a.", "mm.")),
    "olmo3": Marks(),
    "qwen25vl": Marks(),
    "qwen35": _QWEN35,
    "qwen35moe": Marks((*_QWEN35.keys, "*.feed_forward_length"), tensors=_QWEN35.tensors),
    "qwen3next": Marks(endings=(".ssm_dt",)),
    "qwen3vl": _QWEN3VL,
    "qwen3vlmoe": _QWEN3VL,
}
"""Architecture, as the file says it, → what marks a file of Ollama's form. Llama 3 has a rule of its own."""

LLAMA_CPP_NAMES: Mapping[str, tuple[str, ...]] = {
    "deepseekocr": ("deepseek2-ocr",),
    "gemma3": ("gemma3", "gemma-embedding"),
    "glm4moelite": ("deepseek2",),
    "glmocr": ("glm4",),
    "gptoss": ("gpt-oss",),
    "nemotron_h_omni": ("nemotron_h", "nemotron_h_moe"),
    "olmo3": ("olmo2",),
    "qwen25vl": ("qwen2vl",),
}
"""Architecture as such a file says it → what llama.cpp may take it for, as an adapter must."""


def is_translated(metadata: Mapping[str, Any], tensors: Collection[str]) -> bool:
    """Return whether Ollama translates a base when it loads it.

    Args:
        metadata: of its header; what ``/api/show`` calls ``model_info`` serves too.
        tensors: names of its tensors.
    """
    arch = str(metadata.get("general.architecture", ""))
    if arch == "llama":
        return _is_unmended_llama3(metadata)
    marks = FORMS.get(arch)
    if marks is None:
        return False
    if marks == Marks():
        return True
    return (
        any(key.replace("*", arch) in metadata for key in marks.keys)
        or (marks.lacking != "" and marks.lacking.replace("*", arch) not in metadata)
        or (marks.value[0] != "" and metadata.get(marks.value[0]) == marks.value[1])
        or any(name.startswith(marks.tensors) or name.endswith(marks.endings) for name in tensors)
    )


def _is_unmended_llama3(metadata: Mapping[str, Any]) -> bool:
    """Return whether a Llama 3 lacks its way to split text, or ends its turns with the end of a text."""
    if metadata.get("llama.vocab_size") != LLAMA3_TOKENS:
        return False
    split = metadata.get("tokenizer.ggml.pre") or "default"
    return split == "default" or metadata.get("tokenizer.ggml.eos_token_id") == LLAMA3_END_OF_TEXT
