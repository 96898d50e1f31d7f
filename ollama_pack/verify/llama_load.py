"""Whether llama.cpp loads a GGUF LoRA on a base, from two headers: its own checks, with the reason.

Ollama checks nothing when a model is registered, and tells a bare exit status when it does not load. The
checks are those of ``llama_adapter_lora_init`` (``src/llama-adapter.cpp``, b10488), in its order.
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
    """Return why llama.cpp does not load an adapter on a base; nothing where it does.

    Args:
        adapter: the header of the GGUF LoRA.
        metadata: of the base's header; what ``/api/show`` calls ``model_info`` serves too.
        shapes: of the base's tensors, rows first.
    """
    metadata, known = translate_header(metadata, shapes)
    found = list(_setting_errors(adapter, str(metadata.get("general.architecture"))))
    pairs: dict[str, dict[str, Shape]] = {}
    for name, shape in adapter.shapes.items():
        tensor, ending = name[: -len(_A)], name[-len(_A) :]
        if ending in (_A, _B):
            pairs.setdefault(tensor, {})[ending] = shape
        elif not name.endswith("_norm.weight"):
            found.append(f"{name} is neither {_A} nor {_B}")
    for tensor, pair in pairs.items():
        if len(pair) == 1:
            found.append(f"{tensor} has {next(iter(pair))} alone")
        elif known and tensor not in known:
            found.append(f"the base has no {tensor}")
        else:
            found += _shapes(tensor, pair[_A], pair[_B], known.get(tensor))
    return found


def scrambled_by_ollama(adapter: GgufFile) -> bool:
    """Return whether Ollama's own converter made a GGUF LoRA and put the rows of q and k in a wrong order.

    It writes a version and the base's heads, as nobody else does, and reorders A where B should be.
    """
    marks = "general.version" in adapter.metadata and "llama.attention.head_count" in adapter.metadata
    return marks and any(
        f".{part}.weight{_A}" in name for name in adapter.shapes for part in ("attn_q", "attn_k")
    )


def _setting_errors(adapter: GgufFile, arch: str) -> Iterator[str]:
    for key, wanted in (("general.type", "adapter"), ("adapter.type", "lora")):
        if adapter.metadata.get(key) != wanted:
            yield f"{key} is {adapter.metadata.get(key)!r}, not {wanted!r}"
    own = adapter.metadata.get("general.architecture")
    if own != arch:
        yield f"it was made for {own}, and the base is {arch}"
    alpha = adapter.metadata.get(ALPHA)
    if alpha is not None and not isinstance(alpha, float):
        yield f"{ALPHA} is {alpha!r}, which is not a float32"


def _shapes(tensor: str, a: Shape, b: Shape, base: Shape | None) -> Iterator[str]:
    if min(len(a), len(b), len(base or a)) < MATRIX_NDIM:
        yield f"{tensor} is no matrix"
    elif tensor == _EMBEDDING_TENSOR:
        if base is not None and (base[-1], base[-2]) != (b[-2], a[-2]):
            yield f"{tensor} is {_by(base)} in the base, and {a[-2]} × {b[-2]} in the adapter"
        elif a[-1] != b[-1]:
            yield f"{tensor} has the ranks {a[-1]} and {b[-1]}"
    elif base is not None and (base[-2], base[-1]) != (b[-2], a[-1]):
        yield f"{tensor} is {_by(base)} in the base, and {b[-2]} × {a[-1]} in the adapter"
    elif a[-2] != b[-1]:
        yield f"{tensor} has the ranks {a[-2]} and {b[-1]}"


def _by(shape: Shape) -> str:
    return " × ".join(map(str, shape))
