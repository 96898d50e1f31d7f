"""Make A and B of methods whose tensors are blocks: MiSS, Bone, GraLoRA, BD-LoRA and QALoRA."""

from typing import Any

import numpy as np

from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.algebra import concatenate, lazy, moved, transpose
from ollama_pack.lora.factors import (
    FactorError,
    Factors,
    Parts,
    rank_error,
    require_low_rank,
    require_shapes,
    shape_of,
    size_error,
)


def fold_miss(module: str, parts: Parts, rank: int, *, init_weights: Any = True) -> Factors:  # noqa: ANN401
    """Return the factors of MiSS, and of Bone, which was its name before.

    The inputs are cut into pieces of `rank` and summed, and the sum is multiplied by the trained block. So A
    is one identity matrix beside the other, as wide as the weight, and B is the transposed block. MiSS-mini
    trains the first rows of B alone, which repeat (``peft/tuners/miss/layer.py``).

    Raises:
        FactorError: the shape does not match the rank, or the change depends on W (``bat``).
    """
    (block,) = parts.values()
    if str(init_weights).lower() == "bat" or len(block.shape) == 3:
        raise FactorError("multiplicative", f"{module}: init_weights = bat")
    require_shapes(module, {"miss_block": block}, miss_block=(0, 0))
    if block.shape[0] != rank:
        raise rank_error(module, block.shape[0], rank)
    b, mini = transpose(block), str(init_weights).lower() == "mini"

    def fit(out: int, width: int) -> tuple[Tensor, Tensor]:
        if not width or (mini and not out):
            raise size_error(module)
        repeats, rest = divmod(out, block.shape[1]) if mini else (1, 0)
        if rest:
            raise FactorError("shape", f"{module}: {out} rows are no multiple of mini_r = {block.shape[1]}")
        return _identities(block, width), concatenate([b] * repeats, -2)

    return Factors(_identities(block, rank), b, fit)


def _identities(block: Tensor, width: int) -> Tensor:
    """Return identity matrices side by side, as many rows as a block has, cut at a width."""
    rank = block.shape[0]
    return lazy((rank, width), (block,), lambda _: np.eye(rank, dtype=np.float32)[:, np.arange(width) % rank])


def fold_gralora(module: str, parts: Parts, rank: int) -> Factors:
    """Return the factors of rank k·r of GraLoRA, which has k × k blocks of rank r / k.

    The block of outputs j and inputs n is the product of the rows n·s … of B's block j and the columns j·s …
    of A's block n, with s = r / k. The hybrid form has a LoRA of another rank beside them
    (``peft/tuners/gralora/layer.py``).

    Raises:
        FactorError: the shapes do not match, or the factors would be larger than the weight.
    """
    a, b = parts["gralora_A"], parts["gralora_B"]
    require_shapes(module, parts, gralora_A=(0, 0, rank), gralora_B=(a.shape[0], rank, 0))
    blocks, inputs, _ = a.shape
    outputs = b.shape[2]
    if rank % blocks:
        raise FactorError("shape", f"{module}: rank {rank} is no multiple of {blocks} blocks")
    share = rank // blocks

    def wide(numbers: Float32) -> Float32:
        made = np.zeros((blocks, rank, blocks, inputs), np.float32)
        for block in range(blocks):
            made[block, :, block] = numbers[block].T
        return made.reshape(blocks * rank, blocks * inputs)

    def tall(numbers: Float32) -> Float32:
        made = np.zeros(
            (blocks, outputs, blocks, blocks, share), np.float32
        )  # out block, out, in block, j, t
        for block in range(blocks):
            made[block, :, :, block] = numbers[block].reshape(blocks, share, outputs).transpose(2, 0, 1)
        return made.reshape(blocks * outputs, blocks * rank)

    sides: tuple[Tensor, Tensor] = (
        lazy((blocks * rank, blocks * inputs), (a,), wide),
        lazy((blocks * outputs, blocks * rank), (b,), tall),
    )
    if "gralora_A_general" in parts:
        more_a, more_b = parts["gralora_A_general"], parts["gralora_B_general"]
        require_shapes(module, parts, gralora_A_general=(0, blocks * inputs))
        require_shapes(module, parts, gralora_B_general=(blocks * outputs, more_a.shape[0]))
        sides = concatenate((sides[0], more_a), -2), concatenate((sides[1], more_b), -1)
    return require_low_rank(module, *sides)


def in_blocks(module: str, a: Tensor, b: Tensor, settings: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    """Return A and B of BD-LoRA, which stores a block-diagonal one as its blocks alone.

    The settings say which, by words in the name of the module (``BdLoraLinearVariant`` in PEFT).

    Raises:
        FactorError: the settings have no ``nblocks``, or the blocks do not fit.
    """
    named = settings if isinstance(settings, dict) else {}
    count, leaf = named.get("nblocks"), module.rpartition(".")[2]
    if type(count) is not int or count < 1:
        raise FactorError("variant", f"{module}: use_bdlora has no whole number as nblocks")
    sides = [a, b]
    for place, key in enumerate(("target_modules_bd_a", "target_modules_bd_b")):
        words = named.get(key) or []
        if isinstance(words, list) and any(isinstance(word, str) and word in leaf for word in words):
            sides[place] = _block_diagonal(module, sides[place], count)
    return sides[0], sides[1]


def _block_diagonal(module: str, tensor: Tensor, count: int) -> Tensor:
    """Return the matrix that has the blocks of another, which lie below each other, along its diagonal."""
    rows, columns = tensor.shape
    if rows % count:
        raise FactorError("shape", f"{module}: {shape_of(tensor)} is not {count} blocks")
    height = rows // count

    def make(numbers: Any) -> Any:  # noqa: ANN401 — numbers of any dtype
        made = np.zeros((count, height, count, columns), numbers.dtype)
        for block in range(count):
            made[block, :, block] = numbers.reshape(count, height, columns)[block]
        return made.reshape(rows, count * columns)

    return moved((rows, count * columns), (tensor,), make)


def pooled(module: str, a: Tensor, b: Tensor, group: Any) -> Factors:  # noqa: ANN401 — unchecked JSON
    """Return A and B of QALoRA, whose A takes means of groups of inputs where the base was quantised by GPTQ.

    It multiplies them by the number of groups (``QALoraLinearVariant`` in PEFT), and leaves other bases
    alone. The width of the weight tells the two apart.

    Raises:
        FactorError: the size of a group is not a positive whole number.
    """
    if type(group) is not int or group < 1:
        raise FactorError("variant", f"{module}: qalora_group_size = {group!r:.40}")
    rank, groups = a.shape[-2], a.shape[-1]

    def fit(_: int, width: int) -> tuple[Tensor, Tensor]:
        if not width:
            raise size_error(module)
        if width == groups or width != groups * group:  # the shapes are compared later
            return a, b
        factor = np.float32(groups / group)
        return lazy((rank, width), (a,), lambda numbers: np.repeat(numbers, group, axis=1) * factor), b

    return Factors(a, b, fit)
