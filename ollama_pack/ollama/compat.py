"""Recognises GGUF files in Ollama's own form, and translates their headers to the form of llama.cpp.

Ollama translates such a file when it loads it. Ollama 0.30 to 0.34 do this in memory, and adapters work. From
0.40 on Ollama writes the translated file, and refuses to do so for a model with an adapter. The rules are
those of ``llama/compat`` in Ollama 0.33: an architecture, and marks in the header that a file made by
llama.cpp's converter does not have.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

LLAMA3_TOKENS, LLAMA3_END_OF_TEXT = 128256, 128001
"""The size of the vocabulary of Llama 3, and the id of its token ``<|end_of_text|>``."""

LLAMA3_MARKS: Mapping[int, str] = {128006: "<|start_header_id|>", 128009: "<|eot_id|>"}
"""Maps ids to tokens of Llama 3's chat format."""


class FormMarks(NamedTuple):
    """The marks of a file in Ollama's form. One mark is enough; without any mark, every file has this form.

    Attributes:
        keys: the metadata keys that only Ollama's form has; ``*`` stands for the architecture.
        lacking: the metadata key that Ollama's form does not have.
        without: the tensor that a file with one of `tensors` must not have to be in Ollama's form.
        value: a metadata key, and the value that it has in Ollama's form.
        tensors: the prefixes of tensor names that only Ollama's form has.
        endings: the suffixes of tensor names that only Ollama's form has.
    """

    keys: tuple[str, ...] = ()
    lacking: str = ""
    without: str = ""
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
    "lfm2": FormMarks(tensors=("output_norm.weight",), without="token_embd_norm.weight"),
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
"""Maps an architecture, as the file names it, to the marks of Ollama's form. `_OWN_RULES` has the others."""

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


def is_translated(metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Return whether Ollama translates a base when it loads it.

    Args:
        metadata: the metadata of its header, or ``model_info`` of a response of ``/api/show``.
        shapes: the shape of each tensor, rows first.
    """
    arch = str(metadata.get("general.architecture", ""))
    if arch in _OWN_RULES:
        return _OWN_RULES[arch](metadata, shapes)
    marks = OLLAMA_FORMS.get(arch)
    if marks is None:
        return False
    if marks == FormMarks():
        return True
    return (
        any(key.replace("*", arch) in metadata for key in marks.keys)
        or (marks.lacking != "" and marks.lacking.replace("*", arch) not in metadata)
        or (marks.value[0] != "" and metadata.get(marks.value[0]) == marks.value[1])
        or (
            marks.without not in shapes
            and any(name.startswith(marks.tensors) or name.endswith(marks.endings) for name in shapes)
        )
    )


def _is_unrepaired_llama3(metadata: Mapping[str, Any], _shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Return whether a Llama 3 has no pre-tokenizer, or ends its turns with ``<|end_of_text|>``.

    A model is a Llama 3 if it has the tokens of its chat format; if no tokens are known, the size of the
    vocabulary decides.
    """
    template = str(metadata.get("tokenizer.chat_template") or "")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, list | tuple) and tokens:  # a header that was read without them has no list here
        header, turn = (tokens[at : at + 1] == type(tokens)([token]) for at, token in LLAMA3_MARKS.items())
        is_llama3 = turn and (header or any(token in template for token in LLAMA3_MARKS.values()))
    else:
        is_llama3 = metadata.get("llama.vocab_size") == LLAMA3_TOKENS
    split = metadata.get("tokenizer.ggml.pre") or "default"
    ends = metadata.get("tokenizer.ggml.eos_token_id") == LLAMA3_END_OF_TEXT
    return is_llama3 and (split == "default" or ends)


def _has_other_vocabularies(_metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Return whether a Gemma 3n has more tokens in its embedding than in the embeddings of its layers."""
    sizes = {
        shapes[name][0] for name in ("token_embd.weight", "per_layer_token_embd.weight") if name in shapes
    }
    return len(sizes) > 1


def _has_letters_as_charsmap(metadata: Mapping[str, Any], _shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Return whether a BERT with a sentencepiece tokenizer has its character map as a list of letters."""
    letters = metadata.get("tokenizer.ggml.precompiled_charsmap")
    listed = isinstance(letters, list | tuple) and bool(letters) and isinstance(letters[0], str)
    return metadata.get("tokenizer.ggml.model") == "t5" and listed


_OWN_RULES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, tuple[int, ...]]], bool]] = {
    "bert": _has_letters_as_charsmap,
    "gemma3n": _has_other_vocabularies,
    "llama": _is_unrepaired_llama3,
}
"""Maps an architecture whose form no mark shows to the rule that recognises it."""
