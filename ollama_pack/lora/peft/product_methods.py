"""Make A and B of LoRA, AdaLoRA, VeRA, LoHa and LoKr, whose tensors are factors of a product already."""

from typing import Any

from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import (
    columns_crossed,
    first_rows_columns,
    kronecker,
    rows_crossed,
    scale_rows_by_tensor,
)
from ollama_pack.lora.factors import (
    FactorError,
    Factors,
    Parts,
    full_rank_error,
    rank_error,
    require_low_rank,
    require_matrices,
    shape_of,
    size_error,
)
from ollama_pack.lora.peft.block_methods import in_blocks, pooled

Side = Tensor | int
"""A matrix, or the size of an identity matrix in its place."""


def fold_lora(module: str, parts: Parts, rank: int, **variant: Any) -> Factors:  # noqa: ANN401
    """Return A and B of a LoRA, which need no conversion unless a variant has shortened them.

    Those of an embedding belong to its transpose (``Embedding`` in ``peft/tuners/lora/layer.py``), so B is
    hidden × rank.

    Raises:
        FactorError: the shapes do not match each other or the rank.
    """
    a, b = (tensor for _, tensor in sorted(parts.items()))
    if len(a.shape) != 3 or len(b.shape) != 3:
        require_matrices(module, parts)
    if variant.get("use_bdlora"):
        a, b = in_blocks(module, a, b, variant["use_bdlora"])
    if a.shape[-2] != b.shape[-1] or a.shape[:-2] != b.shape[:-2]:
        raise FactorError("shape", f"{module}: A {shape_of(a)} and B {shape_of(b)} have different ranks")
    if a.shape[-2] != rank:
        raise rank_error(module, a.shape[-2], rank)
    if variant.get("use_qalora"):
        return pooled(module, a, b, variant.get("qalora_group_size", 16))
    return Factors(a, b)


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
    return Factors(scale_rows_by_tensor(a, e), b)


def fold_vera(module: str, parts: Parts, rank: int) -> Factors:
    """Return diag(λd)·A and diag(λb)·B of VeRA, with the first rows of B that this weight uses.

    A and B are random, frozen and shared by all weights; only the two vectors λd and λb were trained
    (``peft/tuners/vera/layer.py``). The width of the weight is known only from the base; until then A keeps
    all its columns.

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
    whole = scale_rows_by_tensor(a, by_rank)
    rows = scale_rows_by_tensor(first_rows_columns(b, out, rank), by_row)

    def fit(_: int, width: int) -> tuple[Tensor, Tensor]:
        if not width:
            raise size_error(module)
        return (first_rows_columns(whole, rank, width) if width < whole.shape[1] else whole), rows

    return Factors(whole, rows, fit)


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
    return Factors(kronecker(q, s), kronecker(p, r))


def _side_size(side: Side, axis: int) -> int:
    """Return the size of an axis of a matrix, or of an identity matrix."""
    return side if isinstance(side, int) else side.shape[axis]
