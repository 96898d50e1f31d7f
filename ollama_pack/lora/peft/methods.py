"""Convert the tensors of each training method to exact factors A and B.

A row of `METHODS` names the tensors of a method, the sets of them that make one weight, and the function that
folds them into A and B. Every fold is exact. If A and B would be larger than the weight itself, the method is
unsupported: docs/decisions.md, "Exact factors no larger than the weight".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import (
    columns_crossed,
    first_rows_columns,
    kronecker,
    rows_crossed,
    scale_rows_by_tensor,
)

Parts = Mapping[str, Tensor]
Factors = tuple[Tensor, Tensor]
Side = Tensor | int
"""A matrix, or the size of an identity matrix in its place."""


class FactorError(Exception):
    """The tensors of one weight cannot be converted to A and B.

    Args:
        code: the code of the violated rule in `ollama_pack.lora.rules`.
        text: the module, its tensors, and what is wrong with them.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True, slots=True)
class Method:
    """A training method whose change of a weight has exact low-rank factors.

    Attributes:
        label: the usual name of the method.
        layouts: the sets of parts that make one weight.
        fold: the function that converts a module's parts to A (rank × in) and B (out × rank). It takes the
            module's name, the parts and the trained rank, and raises `FactorError` if they do not match.
        defaults: the settings that PEFT computes with, each with the value that it takes where it is missing.
        shared: the names of the tensors that all weights share.
    """

    label: str
    layouts: tuple[frozenset[str], ...]
    fold: Callable[[str, Parts, int], Factors]
    defaults: Mapping[str, Any]
    shared: frozenset[str] = field(default_factory=frozenset)

    @property
    def parts(self) -> frozenset[str]:
        """Return the names of all tensors of the method."""
        return self.shared.union(*self.layouts)


def fold_lora(module: str, parts: Parts, rank: int) -> Factors:
    """Return A and B of a LoRA, which need no conversion.

    Those of an embedding belong to its transpose (``Embedding`` in ``peft/tuners/lora/layer.py``), so B is
    hidden × rank.

    Raises:
        FactorError: the shapes do not match each other or the rank.
    """
    a, b = (tensor for _, tensor in sorted(parts.items()))
    if len(a.shape) != 3 or len(b.shape) != 3:
        require_matrices(module, parts)
    if a.shape[-2] != b.shape[-1] or a.shape[:-2] != b.shape[:-2]:
        raise FactorError("shape", f"{module}: A {shape_of(a)} and B {shape_of(b)} have different ranks")
    if a.shape[-2] != rank:
        raise rank_error(module, a.shape[-2], rank)
    return a, b


def fold_adalora(module: str, parts: Parts, rank: int) -> Factors:
    """Return diag(E)·A and B of AdaLoRA, which stores the singular values as a column E, rank × 1.

    The source is ``SVDLinear`` in ``peft/tuners/adalora/layer.py``.

    Raises:
        FactorError: the shapes do not match each other or the rank.
    """
    a, b, e = parts["lora_A"], parts["lora_B"], parts["lora_E"]
    require_matrices(module, parts)
    if not a.shape[0] == b.shape[1] == e.shape[0] or e.shape[1] != 1:
        shapes = ", ".join(
            f"{side} {shape_of(tensor)}" for side, tensor in zip("ABE", (a, b, e), strict=True)
        )
        raise FactorError("shape", f"{module}: {shapes} have different ranks")
    if a.shape[0] != rank:
        raise rank_error(module, a.shape[0], rank)
    return scale_rows_by_tensor(a, e), b


def fold_vera(module: str, parts: Parts, rank: int) -> Factors:
    """Return diag(λd)·A and diag(λb)·B of VeRA, with the first rows of B that this weight uses.

    A and B are random, frozen and shared by all weights; only the two vectors λd and λb were trained
    (``peft/tuners/vera/layer.py``). The width of the weight is known only from the base, so A keeps all its
    columns here, and `ollama_pack.lora.tensor_mapping` slices it.

    Raises:
        FactorError: the shapes do not match each other or the rank.
    """
    a, b, by_rank, by_row = (parts[f"vera_{name}"] for name in ("A", "B", "lambda_d", "lambda_b"))
    out = by_row.shape[0] if len(by_row.shape) == 1 else -1
    if len(a.shape) != 2 or len(b.shape) != 2 or len(by_rank.shape) != 1 or not 0 < out <= b.shape[0]:
        raise FactorError("shape", f"{module}: λb {shape_of(by_row)} does not fit vera_B {shape_of(b)}")
    if not a.shape[0] == b.shape[1] == by_rank.shape[0]:
        raise FactorError("shape", f"{module}: λd {shape_of(by_rank)} does not fit vera_A {shape_of(a)}")
    if by_rank.shape[0] != rank:
        raise rank_error(module, by_rank.shape[0], rank)
    return scale_rows_by_tensor(a, by_rank), scale_rows_by_tensor(first_rows_columns(b, out, rank), by_row)


def fold_loha(module: str, parts: Parts, rank: int) -> Factors:
    """Return the factors of rank r² of LoHa, whose ΔW is the elementwise product (P·Q) ∘ (R·S).

    Element i, j is Σp Pip·Qpj times Σq Riq·Sqj, which is the sum over all p and q of (Pip·Riq)·(Qpj·Sqj). So
    B has a column Pip·Riq, and A a row Qpj·Sqj, for each p and q. The source is
    ``peft/tuners/loha/layer.py``.

    Raises:
        FactorError: the shapes do not match, or the factors would be larger than the weight.
    """
    p, q, r, s = (parts[f"hada_{name}"] for name in ("w1_a", "w1_b", "w2_a", "w2_b"))
    require_matrices(module, parts)
    if p.shape != r.shape or q.shape != s.shape or p.shape[1] != q.shape[0]:
        shapes = ", ".join(shape_of(tensor) for tensor in (p, q, r, s))
        raise FactorError("shape", f"{module}: w1 and w2 have shapes {shapes}")
    if p.shape[1] != rank:
        raise rank_error(module, p.shape[1], rank)
    return require_low_rank(module, columns_crossed(q, s), rows_crossed(p, r))


def fold_lokr(module: str, parts: Parts, rank: int) -> Factors:
    """Return the factors of LoKr, whose ΔW is w1 ⊗ w2. With w1 = P·Q and w2 = R·S it is (P ⊗ R)·(Q ⊗ S).

    A side that was not trained as two factors is multiplied by an identity matrix of its smaller dimension.
    The source is ``peft/tuners/lokr/layer.py``.

    Raises:
        FactorError: the shapes do not match, or the factors would be larger than the weight.
    """
    require_matrices(module, parts)
    sides: list[tuple[Side, Side]] = []
    for name in ("lokr_w1", "lokr_w2"):
        if name in parts:
            rows, columns = parts[name].shape
            sides.append((parts[name], columns) if columns <= rows else (rows, parts[name]))
            continue
        left, right = parts[f"{name}_a"], parts[f"{name}_b"]
        if left.shape[1] != right.shape[0]:
            raise FactorError(
                "shape", f"{module}: {name}_a {shape_of(left)} and _b {shape_of(right)} do not fit"
            )
        if left.shape[1] != rank:
            raise rank_error(module, left.shape[1], rank)
        sides.append((left, right))
    (p, q), (r, s) = sides
    inner = _side_size(p, -1) * _side_size(r, -1)
    out, width = _side_size(p, 0) * _side_size(r, 0), _side_size(q, -1) * _side_size(s, -1)
    if inner * (out + width) > out * width:
        raise full_rank_error(module, inner, out, width)
    return kronecker(q, s), kronecker(p, r)


LORA_LAYOUTS = (frozenset({"lora_A", "lora_B"}), frozenset({"lora_embedding_A", "lora_embedding_B"}))
METHODS: dict[str, Method] = {
    "LORA": Method("LoRA", LORA_LAYOUTS, fold_lora, {"r": 8, "lora_alpha": 8}),
    "ADALORA": Method(
        "AdaLoRA",
        (frozenset({"lora_A", "lora_B", "lora_E"}),),
        fold_adalora,
        {"init_r": 12, "lora_alpha": 8},
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
    ),
}  # fmt: skip
"""The supported values of ``peft_type``, each with its method."""

OTHER_METHODS: dict[str, tuple[str, ...]] = {
    "multiplicative": (
        "IA3", "OFT", "BOFT", "HRA", "ROAD", "PSOFT", "HIRA", "LN_TUNING", "DELORA", "GLORA", "SHADOW",
    ),
    "prompt": (
        "PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT",
        "CARTRIDGE",
    ),
    "mixture": ("XLORA", "POLY"),
    "full-rank": ("FOURIERFT", "WAVEFT", "C3A", "SHIRA", "RANDLORA", "GRALORA", "OSF"),
    "not-folded": (
        "MISS", "BONE", "VBLORA", "PVERA", "TINYLORA", "UNILORA", "FROD", "LILY", "ADAMSS", "PEANUT",
        "SUPERTUNING", "DEFT",
    ),
    "trained-tokens": ("TRAINABLE_TOKENS",),
    "bias": ("BEFT",),
}  # fmt: skip
"""The codes of rules, each with the values of ``peft_type`` that violate it."""


def require_matrices(module: str, parts: Parts) -> None:
    """Require every part to be a matrix that is not empty.

    Raises:
        FactorError: a part is not a matrix, or has no rows or columns.
    """
    wrong = [
        f"{name} {shape_of(part)}" for name, part in parts.items() if len(part.shape) != 2 or 0 in part.shape
    ]
    if wrong:
        raise FactorError("shape", f"{module}: {', '.join(sorted(wrong))} is not a matrix")


def rank_error(module: str, actual: int, expected: int) -> FactorError:
    """Return the error for a rank that is not the one in the configuration."""
    return FactorError("rank", f"{module}: rank {actual} in the file, {expected} in adapter_config.json")


def require_low_rank(module: str, a: Tensor, b: Tensor) -> Factors:
    """Return the factors if they have no more numbers than the weight that they express.

    Raises:
        FactorError: they have more.
    """
    inner, out, width = a.shape[0], b.shape[0], a.shape[1]
    if inner * (out + width) > out * width:
        raise full_rank_error(module, inner, out, width)
    return a, b


def full_rank_error(module: str, inner: int, out: int, width: int) -> FactorError:
    """Return the error for factors that are larger than their weight."""
    return FactorError(
        "full-rank", f"{module}: exact factors have rank {inner}, for a weight of {out}×{width}"
    )


def shape_of(tensor: Tensor) -> str:
    """Return a shape as it is written in messages, ``24×20``, or ``()`` for a scalar."""
    return "×".join(map(str, tensor.shape)) or "()"


def _side_size(side: Side, axis: int) -> int:
    """Return the size of an axis of a matrix, or of an identity matrix."""
    return side if isinstance(side, int) else side.shape[axis]
