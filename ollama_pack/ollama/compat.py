"""Recognises GGUF files in Ollama's own form, and translates their headers to the form of llama.cpp.

Ollama translates such a file when it loads it. Ollama 0.30 to 0.34 do this in memory, and adapters work. From
0.40 on Ollama writes the translated file, and refuses to do so for a model with an adapter. The rules are
those of ``llama/compat`` in Ollama 0.33: an architecture, and marks in the header that a file made by
llama.cpp's converter does not have.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

LLAMA3_TOKENS, LLAMA3_END_OF_TEXT = 128256, 128001
"""The size of the vocabulary of Llama 3, and the id of its token ``<|end_of_text|>``."""


@dataclass(frozen=True, slots=True)
class FormMarks:
    """The marks of a file in Ollama's form. One mark is enough; without any mark, every file has this form.

    Attributes:
        keys: the metadata keys that only Ollama's form has; ``*`` stands for the architecture.
        lacking: the metadata key that Ollama's form does not have.
        value: a metadata key, and the value that it has in Ollama's form.
        tensors: the prefixes of tensor names that only Ollama's form has.
        endings: the suffixes of tensor names that only Ollama's form has.
    """

    keys: tuple[str, ...] = ()
    lacking: str = ""
    value: tuple[str, str] = ("", "")
    tensors: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()


_QWEN35 = FormMarks(
    ("*.vision.block_count", "*.image_token_id", "*.ssm.v_head_reordered", "*.rope.mrope_interleaved"),
    tensors=("mtp.", "v."),
)

_QWEN3VL = FormMarks(lacking="*.rope.dimension_sections")
OLLAMA_FORMS: Mapping[str, FormMarks] = {
    "deepseekocr": FormMarks(),
    "gemma3": FormMarks(
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
    "gemma4": FormMarks(
        value=("tokenizer.ggml.model", "llama"), tensors=("a.", "v.", "mm.", "model.vision_tower.")
    ),
    "glm4moelite": FormMarks(),
    "glmocr": FormMarks(),
    "gptoss": FormMarks(),
    "laguna": FormMarks(("*.rope.swa.dimension_count", "*.rope.swa.freq_base"), tensors=("blk.0.attn_g.",)),
    "lfm2": FormMarks(tensors=("output_norm.",)),
    "llama4": FormMarks(tensors=("v.", "mm.")),
    "mistral3": FormMarks(
        ("*.rope.scaling.beta_fast", "*.rope.scaling.mscale_all_dim", "*.rope.scaling_beta"),
        tensors=("v.", "mm."),
    ),
    "nemotron_h_moe": FormMarks(tensors=("blk.0.ffn_latent_in", "blk.1.ffn_latent_in", "mtp.")),
    "nemotron_h_omni": FormMarks(tensors=("v.", "a.", "mm.")),
    "olmo3": FormMarks(),
    "qwen25vl": FormMarks(),
    "qwen35": _QWEN35,
    "qwen35moe": FormMarks((*_QWEN35.keys, "*.feed_forward_length"), tensors=_QWEN35.tensors),
    "qwen3next": FormMarks(endings=(".ssm_dt",)),
    "qwen3vl": _QWEN3VL,
    "qwen3vlmoe": _QWEN3VL,
}
"""Maps an architecture, as the file names it, to the marks of Ollama's form. Llama 3 has its own rule."""

LLAMA_CPP_NAMES: Mapping[str, str] = {
    "deepseekocr": "deepseek2-ocr",
    "glm4moelite": "deepseek2",
    "glmocr": "glm4",
    "gptoss": "gpt-oss",
    "olmo3": "olmo2",
    "qwen25vl": "qwen2vl",
}
"""Maps the architecture that such a file names to the name that it has in llama.cpp after the translation.

``nemotron_h_omni`` has its own rule in `_known_as`.
"""

RENAMED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "glmocr": ((".attn_out.", ".attn_output."),),
    "gptoss": ((".attn_out.", ".attn_output."),),
    "laguna": ((".attn_g.", ".attn_gate."),),
    "nemotron_h_moe": (
        (".ffn_latent_in.", ".ffn_latent_down."),
        (".ffn_latent_out.", ".ffn_latent_up."),
    ),
}
"""Maps an architecture to parts of tensor names: Ollama's name, and the name that llama.cpp uses."""

CONCATENATED: Mapping[str, tuple[str, str, str]] = {
    "gemma4": ("ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_gate_up_exps.weight"),
    "glmocr": ("ffn_gate.weight", "ffn_up.weight", "ffn_up.weight"),
}
"""Maps an architecture to two weights of a layer that are concatenated by rows, and the resulting name."""

NOT_RUN = {
    "mllama": "Llama 3.2 Vision, which llama.cpp does not support; since 0.30 Ollama has no other engine",
}
"""Maps an architecture that only older versions of Ollama ran to the reason."""


def translate_header(
    metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Mapping[str, Any], Mapping[str, tuple[int, ...]]]:
    """Return the metadata and the shapes as llama.cpp sees them, after Ollama has translated the file.

    A LoRA names the tensors of the model as it is loaded, so it must match the translated header. A header
    that Ollama does not translate is returned unchanged.

    Args:
        metadata: the metadata of the header, or ``model_info`` of a response of ``/api/show``.
        shapes: the shape of each tensor, rows first.
    """
    if not is_translated(metadata, shapes):
        return metadata, shapes
    arch = str(metadata["general.architecture"])
    known_as = _known_as(arch, metadata)
    names = {name: _renamed(name, RENAMED.get(known_as, ()) or RENAMED.get(arch, ())) for name in shapes}
    renamed_keys = {
        f"{known_as}.{key.removeprefix(f'{arch}.')}": value
        for key, value in metadata.items()
        if key.startswith(f"{arch}.")
    }
    renamed_shapes = {names[name]: shape for name, shape in shapes.items()}
    return {**metadata, **renamed_keys, "general.architecture": known_as}, _concatenated(
        renamed_shapes, CONCATENATED.get(arch)
    )


def _known_as(arch: str, metadata: Mapping[str, Any]) -> str:
    """Return the name that llama.cpp has for an architecture of Ollama's form."""
    if arch == "nemotron_h_omni":
        return "nemotron_h_moe" if metadata.get(f"{arch}.expert_count") else "nemotron_h"
    return LLAMA_CPP_NAMES.get(arch, arch)


def _renamed(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """Return a tensor name with the first occurrence of each old part replaced by the new one."""
    for old, new in pairs:
        name = name.replace(old, new, 1)
    return name


def _concatenated(
    shapes: Mapping[str, tuple[int, ...]], names: tuple[str, str, str] | None
) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes with two weights of each layer concatenated, or the shapes unchanged without `names`.

    Ollama keeps the two weights apart if one has a scale tensor, if their shapes differ, or if the file has
    the concatenated weight already.
    """
    if names is None:
        return shapes
    first, second, combined = names
    result = dict(shapes)
    for name, shape in shapes.items():
        layer = name.removesuffix(first)
        prefixes = [f"{layer}{each.removesuffix('weight')}" for each in (first, second)]
        scales = {f"{prefix}{kind}" for prefix in prefixes for kind in ("scale", "input_scale")}
        free = combined in (first, second) or layer + combined not in shapes
        if layer != name and free and shape == shapes.get(layer + second) and not scales & shapes.keys():
            del result[name], result[layer + second]
            result[layer + combined] = _doubled(shape)
    return result


def _doubled(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of two equal matrices concatenated by rows; a vector keeps its shape."""
    return (*shape[:-2], 2 * shape[-2], shape[-1]) if len(shape) > 1 else shape


def is_translated(metadata: Mapping[str, Any], tensors: Collection[str]) -> bool:
    """Return whether Ollama translates a base when it loads it.

    Args:
        metadata: the metadata of its header, or ``model_info`` of a response of ``/api/show``.
        tensors: the names of its tensors.
    """
    arch = str(metadata.get("general.architecture", ""))
    if arch == "llama":
        return _is_unrepaired_llama3(metadata)
    marks = OLLAMA_FORMS.get(arch)
    if marks is None:
        return False
    if marks == FormMarks():
        return True
    return (
        any(key.replace("*", arch) in metadata for key in marks.keys)
        or (marks.lacking != "" and marks.lacking.replace("*", arch) not in metadata)
        or (marks.value[0] != "" and metadata.get(marks.value[0]) == marks.value[1])
        or any(name.startswith(marks.tensors) or name.endswith(marks.endings) for name in tensors)
    )


def _is_unrepaired_llama3(metadata: Mapping[str, Any]) -> bool:
    """Return whether a Llama 3 has no pre-tokenizer, or ends its turns with ``<|end_of_text|>``."""
    if metadata.get("llama.vocab_size") != LLAMA3_TOKENS:
        return False
    split = metadata.get("tokenizer.ggml.pre") or "default"
    return split == "default" or metadata.get("tokenizer.ggml.eos_token_id") == LLAMA3_END_OF_TEXT
