"""The layout of every weight that llama.cpp stores differently from Hugging Face: the witness of the proof.

Each entry was written from llama.cpp's conversion, and none from the table of architectures. A module that is
not here is held as it is; gate and up of experts, in one weight, are its upper and its lower half.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ollama_pack.arch.hparams import HParams
from ollama_pack.verify.axes import (
    Axes,
    Matrix,
    dealt_values,
    dealt_values_below,
    even_and_odd,
    grouped_to_parts,
    key_heads_to_kinds,
    number_of,
    paired_keys,
    paired_queries,
    queries_by_key_head,
    stacked_to_parts,
    state_space_numbers,
    ungrouped_qkv,
    upper_and_lower,
)


class Layout(NamedTuple):
    """How llama.cpp stores one weight of Hugging Face's.

    Attributes:
        rows: what happens to its rows, and so to those of B; None if they stay and there is one tensor.
        columns: what happens to its columns, and so to those of A, which it gets as rows; None if they stay.
        factor: what the weight is multiplied by: a number, or a column with a number for each row.
    """

    rows: Axes | None = None
    columns: Axes | None = None
    factor: Callable[[HParams], float | Matrix] | None = None

    def of_rows(self, weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
        """Return the rows of a weight that each tensor holds, without the factor."""
        return (weight,) if self.rows is None else self.rows(weight, base)

    def of_columns(self, weight: Matrix, base: HParams) -> Matrix:
        """Return a weight with its columns in llama.cpp's order."""
        if self.columns is None:
            return weight
        return self.columns(weight.swapaxes(-1, -2), base)[0].swapaxes(-1, -2)


SAME_LAYOUT = Layout()
_HALVES = Layout(upper_and_lower)


def _same_in(*archs: str, **modules: Layout) -> Mapping[tuple[str, str], Layout]:
    """Return the entries of architectures whose modules of these names have the same layouts."""
    return {(arch, module): layout for arch in archs for module, layout in modules.items()}


_ROTATING_NEIGHBOURS = (
    *("llama", "mistral3", "smollm3", "arcee", "granite", "granitemoe", "granitehybrid", "olmo", "minicpm"),
    *("nemotron_h", "nemotron_h_moe", "xverse", "deci", "deepseek", "arctic"),
)
"""Architectures whose converter permutes q and k: classes with ``undo_permute``, and copies of them."""

LAYOUTS: Mapping[tuple[str, str], Layout] = {
    **_same_in(*_ROTATING_NEIGHBOURS, q_proj=Layout(paired_queries), k_proj=Layout(paired_keys)),
    **_same_in("gptneox", "falcon", "bloom", query_key_value=Layout(ungrouped_qkv)),
    **_same_in("baichuan", W_pack=Layout(stacked_to_parts)),
    **_same_in("bailingmoe", query_key_value=Layout(stacked_to_parts)),
    **_same_in("internlm2", wqkv=Layout(grouped_to_parts)),
    **_same_in("plamo", q_proj=Layout(queries_by_key_head), o_proj=Layout(columns=queries_by_key_head)),
    **_same_in("granite", "granitehybrid", "granitemoe", input_linear=_HALVES),
    **_same_in("openelm", proj_1=_HALVES),
    **_same_in("refact", kv=_HALVES, gate_up_proj=_HALVES),
    **_same_in("gpt-oss", gate_up_proj=Layout(even_and_odd)),
    **_same_in("qwen3next", in_proj_qkvz=Layout(key_heads_to_kinds)),
    **_same_in(
        *("qwen35", "qwen35moe"),
        in_proj_qkv=Layout(dealt_values_below),
        in_proj_z=Layout(dealt_values),
        in_proj_a=Layout(dealt_values),
        in_proj_b=Layout(dealt_values),
        out_proj=Layout(columns=dealt_values),
    ),
    **_same_in(
        "falcon-h1",
        q_proj=Layout(factor=number_of("attention_in_multiplier")),
        k_proj=Layout(factor=number_of("attention_in_multiplier", "key_multiplier")),
        v_proj=Layout(factor=number_of("attention_in_multiplier")),
        o_proj=Layout(factor=number_of("attention_out_multiplier")),
        gate_proj=Layout(factor=number_of("mlp_multipliers")),
        down_proj=Layout(factor=number_of("mlp_multipliers", place=1)),
        in_proj=Layout(factor=state_space_numbers),
        out_proj=Layout(factor=number_of("ssm_out_multiplier")),
        lm_head=Layout(factor=number_of("lm_head_multiplier")),
        embed_tokens=Layout(factor=number_of("embedding_multiplier")),
    ),
}
"""Architecture and last word of a module's name → its layout."""

TRANSPOSED_EXPERTS = ("llama4",)
"""Architectures whose experts are parameters of in × out, which PEFT takes for out × in."""

KNOWN_TRANSPOSED_EXPERTS = ("gpt-oss",)
"""Architectures whose experts are parameters of in × out, which PEFT takes into account."""

PEFT_WITH_EXPERT_LAYOUT = (0, 19)
"""The first version of PEFT that takes the parameters of experts for out × in, which most of them are."""


def layout_of(arch: str, leaf: str, tensors: int) -> Layout:
    """Return the layout of a module.

    Args:
        arch: llama.cpp's name of the architecture.
        leaf: the last word of the module's name.
        tensors: the number of tensors that hold its weight.
    """
    layout = LAYOUTS.get((arch, leaf))
    if layout is None:
        return _HALVES if leaf == "gate_up_proj" and tensors == 2 else SAME_LAYOUT
    return layout


def experts_are_turned(arch: str, config: Mapping[str, Any]) -> bool:
    """Return whether PEFT trained the transposed ΔW of experts that are one parameter."""
    if arch in TRANSPOSED_EXPERTS:
        return True
    if arch in KNOWN_TRANSPOSED_EXPERTS or not config.get("target_parameters"):
        return False
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    return version is not None and (int(version[1]), int(version[2])) < PEFT_WITH_EXPERT_LAYOUT
