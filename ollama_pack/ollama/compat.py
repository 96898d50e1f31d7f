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
class FormMarks:
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
"""Architecture, as the file says it, → what marks a file of Ollama's form. Llama 3 has a rule of its own."""

LLAMA_CPP_NAMES: Mapping[str, str] = {
    "deepseekocr": "deepseek2-ocr",
    "glm4moelite": "deepseek2",
    "glmocr": "glm4",
    "gptoss": "gpt-oss",
    "olmo3": "olmo2",
    "qwen25vl": "qwen2vl",
}
"""Architecture as such a file says it → as llama.cpp does once it is translated; one has a rule below."""

RENAMED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "glmocr": ((".attn_out.", ".attn_output."),),
    "gptoss": ((".attn_out.", ".attn_output."),),
    "laguna": ((".attn_g.", ".attn_gate."),),
    "nemotron_h_moe": (
        (".ffn_latent_in.", ".ffn_latent_down."),
        (".ffn_latent_out.", ".ffn_latent_up."),
    ),
}
"""Architecture → parts of the names of linear weights, as such a file and as llama.cpp has them."""

MADE_ONE: Mapping[str, tuple[str, str, str]] = {
    "gemma4": ("ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_gate_up_exps.weight"),
    "glmocr": ("ffn_gate.weight", "ffn_up.weight", "ffn_up.weight"),
}
"""Architecture → two weights of a block that become one, one below the other, and what it is called."""

NOT_RUN = {
    "mllama": "Llama 3.2 Vision: no llama.cpp has it, and Ollama has run nothing else since 0.30",
}
"""Architecture that Ollama gave a form of its own and no longer runs → why."""


def translate_header(
    metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Mapping[str, Any], Mapping[str, tuple[int, ...]]]:
    """Return a header as llama.cpp sees it, after Ollama has translated what it must.

    A LoRA names the weights of the model that is loaded, so this is the one it has to fit.

    Args:
        metadata: of the file's header; what ``/api/show`` calls ``model_info`` serves too.
        shapes: of its tensors, rows first.
    """
    if not is_translated(metadata, shapes):
        return metadata, shapes
    arch = str(metadata["general.architecture"])
    known_as = _known_as(arch, metadata)
    names = {name: _renamed(name, RENAMED.get(known_as, ()) or RENAMED.get(arch, ())) for name in shapes}
    told = {
        f"{known_as}.{key.removeprefix(f'{arch}.')}": value
        for key, value in metadata.items()
        if key.startswith(f"{arch}.")
    }
    seen = {names[name]: shape for name, shape in shapes.items()}
    return {**metadata, **told, "general.architecture": known_as}, _made_one(seen, MADE_ONE.get(arch))


def _known_as(arch: str, metadata: Mapping[str, Any]) -> str:
    """Return what llama.cpp calls an architecture of Ollama's."""
    if arch == "nemotron_h_omni":
        return "nemotron_h_moe" if metadata.get(f"{arch}.expert_count") else "nemotron_h"
    return LLAMA_CPP_NAMES.get(arch, arch)


def _renamed(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        name = name.replace(old, new, 1)
    return name


def _made_one(
    shapes: Mapping[str, tuple[int, ...]], names: tuple[str, str, str] | None
) -> Mapping[str, tuple[int, ...]]:
    """Return shapes with two weights of each block as one.

    Ollama leaves them alone where one has scales of its own, where they differ, or where the one is there.
    """
    if names is None:
        return shapes
    first, second, one = names
    found = dict(shapes)
    for name, shape in shapes.items():
        block = name.removesuffix(first)
        beside = [f"{block}{each.removesuffix('weight')}" for each in (first, second)]
        scales = {f"{each}{kind}" for each in beside for kind in ("scale", "input_scale")}
        there = one in (first, second) or block + one not in shapes
        if block != name and there and shape == shapes.get(block + second) and not scales & shapes.keys():
            del found[name], found[block + second]
            found[block + one] = _doubled(shape)
    return found


def _doubled(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of two equal weights, one below the other; what is no matrix stays as it is."""
    return (*shape[:-2], 2 * shape[-2], shape[-1]) if len(shape) > 1 else shape


def is_translated(metadata: Mapping[str, Any], tensors: Collection[str]) -> bool:
    """Return whether Ollama translates a base when it loads it.

    Args:
        metadata: of its header; what ``/api/show`` calls ``model_info`` serves too.
        tensors: names of its tensors.
    """
    arch = str(metadata.get("general.architecture", ""))
    if arch == "llama":
        return _is_unmended_llama3(metadata)
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


def _is_unmended_llama3(metadata: Mapping[str, Any]) -> bool:
    """Return whether a Llama 3 lacks its way to split text, or ends its turns with the end of a text."""
    if metadata.get("llama.vocab_size") != LLAMA3_TOKENS:
        return False
    split = metadata.get("tokenizer.ggml.pre") or "default"
    return split == "default" or metadata.get("tokenizer.ggml.eos_token_id") == LLAMA3_END_OF_TEXT
