"""Check from two headers whether llama.cpp loads a GGUF LoRA on a base, and say why it does not.

Ollama checks nothing when a model is registered, and reports only an exit status when it does not load. These
checks are those of ``llama_adapter_lora_init`` (``src/llama-adapter.cpp``, b10488), in the same order.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ollama_pack.gguf.constants import ALPHA
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.gguf.tensors import MATRIX_NDIM
from ollama_pack.ollama.compat import translate_header

Shape: TypeAlias = tuple[int, ...]
_A, _B = ".lora_a", ".lora_b"
_EMBEDDING_TENSOR = "token_embd.weight"


def load_errors(adapter: GgufFile, metadata: Mapping[str, Any], shapes: Mapping[str, Shape]) -> list[str]:
    """Return the reasons why llama.cpp does not load an adapter on a base. If it does, the list is empty.

    Args:
        adapter: the header of the GGUF LoRA file.
        metadata: the metadata of the base's header, or the ``model_info`` of ``/api/show``.
        shapes: the shapes of the base's tensors, with rows before columns, or an empty mapping if unknown.
    """
    metadata, known = translate_header(metadata, shapes)
    errors = list(_setting_errors(adapter, str(metadata.get("general.architecture"))))
    pairs: dict[str, dict[str, Shape]] = {}
    for name, shape in adapter.shapes.items():
        tensor, ending = name[: -len(_A)], name[-len(_A) :]
        if ending in (_A, _B):
            pairs.setdefault(tensor, {})[ending] = shape
        elif not name.endswith("_norm.weight"):
            errors.append(f"{name} does not end in {_A} or {_B}")
    for tensor, pair in pairs.items():
        if len(pair) == 1:
            errors.append(f"{tensor} has only {next(iter(pair))}")
        elif known and tensor not in known:
            errors.append(f"the base has no {tensor}")
        else:
            errors += _shape_errors(tensor, pair[_A], pair[_B], known.get(tensor))
    return errors


def scrambled_by_ollama(adapter: GgufFile) -> bool:
    """Return whether Ollama's converter wrote a GGUF LoRA file, with the rows of q and k in the wrong order.

    Only that converter writes a version and the head count of the base. It reorders A instead of B.
    """
    marks = "general.version" in adapter.metadata and "llama.attention.head_count" in adapter.metadata
    return marks and any(
        f".{part}.weight{_A}" in name for name in adapter.shapes for part in ("attn_q", "attn_k")
    )


def _setting_errors(adapter: GgufFile, arch: str) -> Iterator[str]:
    """Yield why llama.cpp rejects the metadata of an adapter."""
    for key, wanted in (("general.type", "adapter"), ("adapter.type", "lora")):
        if adapter.metadata.get(key) != wanted:
            yield f"{key} is {adapter.metadata.get(key)!r}, not {wanted!r}"
    own = adapter.metadata.get("general.architecture")
    if own != arch:
        yield f"the adapter is for {own}, the base is {arch}"
    alpha = adapter.metadata.get(ALPHA)
    if alpha is not None and not isinstance(alpha, float):
        yield f"{ALPHA} is {alpha!r}, which is not a float32"


def _shape_errors(tensor: str, a: Shape, b: Shape, base: Shape | None) -> Iterator[str]:
    """Yield why llama.cpp rejects the shapes of A and B; `base` is the base's shape, or None if unknown."""
    if min(len(a), len(b), len(base or a)) < MATRIX_NDIM:
        yield f"{tensor} is not a matrix"
    elif tensor == _EMBEDDING_TENSOR:
        if base is not None and (base[-1], base[-2]) != (b[-2], a[-2]):
            yield f"{tensor}: the adapter expects {a[-2]}×{b[-2]}, the base has {_shape_text(base)}"
        elif a[-1] != b[-1]:
            yield f"{tensor}: A has rank {a[-1]}, B has rank {b[-1]}"
    elif base is not None and (base[-2], base[-1]) != (b[-2], a[-1]):
        yield f"{tensor}: the adapter expects {b[-2]}×{a[-1]}, the base has {_shape_text(base)}"
    elif a[-2] != b[-1]:
        yield f"{tensor}: A has rank {a[-2]}, B has rank {b[-1]}"


def _shape_text(shape: Shape) -> str:
    """Return a shape as it is written in messages, ``576×576``."""
    return "×".join(map(str, shape))
