"""Make A and B of methods with shared or normalised vectors: VB-LoRA, DeLoRA and TinyLoRA."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.lora.algebra import lazy
from ollama_pack.lora.factors import FactorError, Factors, Parts, rank_error, require_shapes

if TYPE_CHECKING:
    from ollama_pack.gguf.tensors import Tensor

SMALLEST_NORM = 1e-4
"""DeLoRA counts a shorter vector as one of this length."""

REGISTERED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear modules of a layer, in the order in which models like Llama declare them and TinyLoRA counts."""

_LLAMA_MODULE = re.compile(r"model\.layers\.([0-9]{1,6})\.(self_attn|mlp)\.(\w+)")


def fold_vblora(module: str, parts: Parts, rank: int, *, topk: Any = 2) -> Factors:  # noqa: ANN401
    """Return the factors of VB-LoRA: each piece of A and B is a mixture of the top vectors of a bank.

    The `topk` vectors with the largest logits are mixed; their shares are the softmax of these logits. A
    saved file may hold only their indices and all shares but the last (``peft/tuners/vblora``).

    Raises:
        FactorError: the shapes do not match each other or the rank.
    """
    bank = parts["vblora_vector_bank"]
    require_shapes(module, parts, vblora_vector_bank=(0, 0))
    vectors, length = bank.shape
    short = "vblora_logits_A" not in parts
    if type(topk) is not int or not 1 <= topk <= vectors:
        raise FactorError("shape", f"{module}: topk = {topk!r:.40}, for a bank of {vectors} vectors")
    sides: dict[str, tuple[Tensor, ...]] = {}
    for side in "AB":
        name = f"vblora_logits_{side}"
        names = (f"{name}_topk_indices", f"{name}_topk_weights") if short else (name,)
        ends = (topk, topk - 1) if short else (vectors,)
        for each, end in zip(names, ends, strict=True):
            shape = (rank, 0, end) if side == "A" else (0, rank, end)
            if end:  # a single vector has no share that is stored
                require_shapes(module, parts, **{each: shape})
        sides[side] = tuple(parts[each] for each in names)
    tiles_a, tiles_b = sides["A"][0].shape[1], sides["B"][0].shape[0]

    def mixed(numbers: tuple[Float32, ...], vectors: Float32) -> Float32:
        return _mixture(*(_shares(numbers[0], topk) if not short else _stored_shares(*numbers)), vectors)

    def wide(*numbers: Float32) -> Float32:
        return mixed(numbers[:-1], numbers[-1]).reshape(rank, tiles_a * length)

    def tall(*numbers: Float32) -> Float32:
        return mixed(numbers[:-1], numbers[-1]).swapaxes(1, 2).reshape(tiles_b * length, rank)

    return Factors(
        lazy((rank, tiles_a * length), (*sides["A"], bank), wide),
        lazy((tiles_b * length, rank), (*sides["B"], bank), tall),
    )


def _shares(logits: Float32, topk: int) -> tuple[Any, Any]:
    """Return the indices of the vectors with the largest logits, and the softmax of these logits."""
    best = np.argpartition(logits, -topk, axis=-1)[..., -topk:]
    powers = np.take_along_axis(logits, best, -1).astype(np.float64)
    powers = np.exp(powers - powers.max(-1, keepdims=True))
    return best, powers / powers.sum(-1, keepdims=True)


def _stored_shares(indices: Float32, shares: Float32) -> tuple[Any, Any]:
    """Return the indices and the shares, of which a file stores all but the last."""
    known = shares.astype(np.float64)
    return indices.astype(np.intp), np.concatenate((known, 1 - known.sum(-1, keepdims=True)), -1)


def _mixture(chosen: Any, shares: Any, bank: Float32) -> Float32:  # noqa: ANN401 — arrays
    """Return the sum of the chosen vectors of a bank, each times its share."""
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(bank):
        return np.full((*chosen.shape[:-1], bank.shape[1]), np.nan, np.float32)  # found as not finite
    mixture: Float32 = np.einsum("abk,abkl->abl", shares, bank[chosen].astype(np.float64)).astype(np.float32)
    return mixture


def fold_delora(module: str, parts: Parts, rank: int) -> Factors:
    """Return the factors of DeLoRA, whose directions have one length: λ / r times the length of W's columns.

    ΔW = B · diag(λ / r / (‖Aᵢ‖·‖Bᵢ‖)) · A · diag(w_norm). The norms of W's columns are in the file, so
    nothing depends on W (``peft/tuners/delora/layer.py``).

    Raises:
        FactorError: the shapes do not match each other or the rank.
    """
    a, b, strength, norms = (parts[f"delora_{name}"] for name in ("A", "B", "lambda", "w_norm"))
    require_shapes(module, parts, delora_A=(0, 0), delora_B=(0, 0), delora_lambda=(1,))
    require_shapes(module, parts, delora_B=(0, a.shape[0]), delora_w_norm=(a.shape[1],))
    if a.shape[0] != rank:
        raise rank_error(module, a.shape[0], rank)

    def normalised(numbers: Float32, other: Float32, by: Float32) -> Float32:
        lengths = _lengths(numbers, 0) * _lengths(other, 1)
        made: Float32 = (numbers * (by.astype(np.float64) / rank / lengths)).astype(np.float32)
        return made

    return Factors(
        lazy(a.shape, (a, norms), lambda numbers, by: numbers * by[None, :]),
        lazy(b.shape, (b, a, strength), normalised),
    )


def _lengths(numbers: Float32, axis: int) -> Any:  # noqa: ANN401 — an array
    """Return the lengths of the vectors along an axis, none of them shorter than `SMALLEST_NORM`."""
    squares = np.square(numbers.astype(np.float64))
    return np.maximum(np.sqrt(squares.sum(axis)), SMALLEST_NORM)


def fold_tinylora(module: str, parts: Parts, rank: int) -> Factors:
    """Return the factors of TinyLoRA: R·A and B, with R = Σ vᵢ·Pᵢ.

    A and B are W's largest singular vectors, and the matrices P are random; all are in the file. Only the
    vector v was trained (``peft/tuners/tinylora/layer.py``).

    Raises:
        FactorError: P is not in the file, or the shapes do not match.
    """
    if "tinylora_P" not in parts:
        raise FactorError("no-projection", module)
    a, b, mixing, vector = (parts[f"tinylora_{name}"] for name in ("A", "B", "P", "v"))
    require_shapes(module, parts, tinylora_A=(0, 0), tinylora_v=(0,))
    inner = a.shape[0]
    require_shapes(module, parts, tinylora_B=(0, inner), tinylora_P=(vector.shape[0], inner, inner))
    if inner > rank:
        raise rank_error(module, inner, rank)

    def mixed(numbers: Float32, by: Float32, matrices: Float32) -> Float32:
        made: Float32 = (np.einsum("i,ijk->jk", by, matrices, dtype=np.float64) @ numbers).astype(np.float32)
        return made

    return Factors(lazy(a.shape, (a, vector, mixing), mixed), b)


def deal_vectors(modules: Sequence[str], shared: Parts, config: Mapping[str, Any]) -> Mapping[str, Parts]:
    """Return the vector of each module of TinyLoRA. Neighbours may share one (``weight_tying``).

    PEFT numbers the modules as the model declares them, which is known for models whose layers are like
    Llama's. Where all modules share one vector the order does not matter.

    Args:
        modules: the names of the adapted modules.
        shared: the vectors, ``tinylora_v.0`` and so on.
        config: the parsed adapter_config.json.

    Raises:
        FactorError: the order of the modules is not known, or vectors are missing.
    """
    count = len(modules)
    tying = config.get("weight_tying", 0.0)
    tying = float(tying) if isinstance(tying, int | float) else 0.0
    groups = max(1, round(count * (1.0 - tying)))
    size = max(1, count // groups)
    vectors: dict[str, Parts] = {}
    for place, module in enumerate(sorted(modules, key=_declared) if groups > 1 else modules):
        name = f"tinylora_v.{min(place // size, groups - 1)}"
        if name not in shared:
            raise FactorError("half", f"{module}: has no {name} beside it")
        vectors[module] = {"tinylora_v": shared[name]}
    return vectors


def _declared(module: str) -> tuple[int, int]:
    """Return the place of a module among those of a model like Llama.

    Raises:
        FactorError: a model like Llama has no such module.
    """
    found = _LLAMA_MODULE.fullmatch(module)
    if found is None or found[3] not in REGISTERED:
        raise FactorError("as-lora", f"{module}: its place among the modules of the model is not known")
    return int(found[1]), REGISTERED.index(found[3])
