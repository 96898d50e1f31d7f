"""Convert the tensors of each training method to exact factors A and B.

A row of `METHODS` names the tensors of a method, the sets of them that make one weight, and the function that
folds them into A and B. Every fold is exact. If A and B would be larger than the weight itself, the method is
unsupported: docs/decisions.md, "Exact factors no larger than the weight".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.lora.factors import Factors, Parts
from ollama_pack.lora.peft.bank_methods import deal_vectors, fold_delora, fold_tinylora, fold_vblora
from ollama_pack.lora.peft.block_methods import fold_gralora, fold_miss
from ollama_pack.lora.peft.fourier import fold_fourierft
from ollama_pack.lora.peft.product_methods import fold_adalora, fold_loha, fold_lokr, fold_lora, fold_vera


@dataclass(frozen=True, slots=True)
class Method:
    """A training method whose change of a weight has exact low-rank factors.

    Attributes:
        label: the usual name of the method.
        layouts: the sets of parts that make one weight.
        fold: the function that converts a module's parts to A (rank × in) and B (out × rank). It takes the
            module's name, the parts, the trained rank and the settings of `takes`, and raises `FactorError`
            if they do not match.
        defaults: the settings that PEFT computes with, each with PEFT's default.
        alpha_key: the setting that holds alpha, or "" if there is none, or `fold` takes care of it.
        rank_key: the setting that holds the rank, or the number that stands for it.
        takes: the settings that `fold` takes by name.
        shared: the names of the tensors that all weights share.
        deal: the function that gives each module its own of several shared tensors, or None. It takes the
            modules in order, the shared tensors by name, and the configuration.
    """

    label: str
    layouts: tuple[frozenset[str], ...]
    fold: Callable[..., Factors]
    defaults: Mapping[str, Any]
    alpha_key: str = ""
    rank_key: str = "r"
    takes: tuple[str, ...] = ()
    shared: frozenset[str] = field(default_factory=frozenset)
    deal: Callable[[Sequence[str], Parts, Mapping[str, Any]], Mapping[str, Parts]] | None = None

    @property
    def parts(self) -> frozenset[str]:
        """Return the names of all tensors of the method."""
        return self.shared.union(*self.layouts)


LORA_LAYOUTS = (frozenset({"lora_A", "lora_B"}), frozenset({"lora_embedding_A", "lora_embedding_B"}))
_CHOICE = ("indices", "weights")
_GRALORA = frozenset({"gralora_A", "gralora_B"})
_TINYLORA = frozenset({"tinylora_A", "tinylora_B"})
METHODS: dict[str, Method] = {
    "LORA": Method(
        "LoRA",
        LORA_LAYOUTS,
        fold_lora,
        {"r": 8, "lora_alpha": 8},
        "lora_alpha",
        takes=("use_bdlora", "use_qalora", "qalora_group_size"),
    ),
    "ADALORA": Method(
        "AdaLoRA",
        (frozenset({"lora_A", "lora_B", "lora_E"}),),
        fold_adalora,
        {"init_r": 12, "lora_alpha": 8},
        "lora_alpha",
        "init_r",
    ),
    "VERA": Method(
        "VeRA",
        (frozenset({"vera_lambda_b", "vera_lambda_d"}),),
        fold_vera,
        {"r": 256},
        shared=frozenset({"vera_A", "vera_B"}),
    ),
    "LOHA": Method(
        "LoHa",
        (frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}),),
        fold_loha,
        {"r": 8, "alpha": 8},
        "alpha",
    ),
    "LOKR": Method(
        "LoKr",
        tuple(
            frozenset({*first, *second})
            for first in (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b"))
            for second in (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"))
        ),
        fold_lokr,
        {"r": 8, "alpha": 8},
        "alpha",
    ),
    "MISS": Method("MiSS", (frozenset({"miss_block"}),), fold_miss, {"r": 64}, takes=("init_weights",)),
    "BONE": Method("Bone", (frozenset({"bone_block"}),), fold_miss, {"r": 64}, takes=("init_weights",)),
    "VBLORA": Method(
        "VB-LoRA",
        (
            frozenset({"vblora_logits_A", "vblora_logits_B"}),
            frozenset(f"vblora_logits_{side}_topk_{what}" for side in "AB" for what in _CHOICE),
        ),
        fold_vblora,
        {"r": 4, "topk": 2},
        takes=("topk",),
        shared=frozenset({"vblora_vector_bank"}),
    ),
    "DELORA": Method(
        "DeLoRA",
        (frozenset({"delora_A", "delora_B", "delora_lambda", "delora_w_norm"}),),
        fold_delora,
        {"r": 8},
    ),
    "GRALORA": Method(
        "GraLoRA",
        (_GRALORA, _GRALORA | {"gralora_A_general", "gralora_B_general"}),
        fold_gralora,
        {"r": 32, "alpha": 64, "hybrid_r": 0},
        "alpha",
    ),
    "TINYLORA": Method(
        "TinyLoRA",
        (_TINYLORA, _TINYLORA | {"tinylora_P"}),
        fold_tinylora,
        {"r": 2},
        shared=frozenset({"tinylora_v"}),
        deal=deal_vectors,
    ),
    "FOURIERFT": Method(
        "FourierFT",
        (frozenset({"fourierft_spectrum"}),),
        fold_fourierft,
        {"n_frequency": 1000, "scaling": 150.0, "random_loc_seed": 777},
        rank_key="n_frequency",
        takes=("scaling", "random_loc_seed"),
    ),
}  # fmt: skip
"""The supported values of ``peft_type``, each with its method."""

OTHER_METHODS: dict[str, tuple[str, ...]] = {
    "multiplicative": (
        "IA3", "OFT", "BOFT", "HRA", "ROAD", "HIRA", "GLORA",
    ),
    "prompt": (
        "PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT",
        "CARTRIDGE",
    ),
    "mixture": ("XLORA", "POLY"),
    "full-rank": ("WAVEFT", "C3A", "SHIRA", "RANDLORA", "OSF"),
    "as-lora": ("PSOFT",),
    "not-folded": ("PVERA", "PEANUT", "SUPERTUNING", "DEFT"),
    "all-weights": ("FROD", "ADAMSS", "UNILORA"),
    "no-weight": ("LILY", "SHADOW"),
    "norm": ("LN_TUNING",),
    "trained-tokens": ("TRAINABLE_TOKENS",),
    "bias": ("BEFT",),
}  # fmt: skip
"""The codes of rules, each with the values of ``peft_type`` that violate it."""
