"""READ  adapter_model.bin, with torch's loader that makes tensors and nothing else.

A pickle can run any program. torch's ``weights_only`` refuses everything but plain tensors, and is not
without holes before 2.6 (CVE-2025-32434), so older versions are not used. The only place that knows torch.
"""

from pathlib import Path

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.tensors import LazyTensor

OLDEST_TORCH = (2, 6)
EXACT_IN_FLOAT32 = ("float32", "float16", "bfloat16")
_SAVE_AGAIN = "save the adapter again with model.save_pretrained(DIR, safe_serialization=True)"


def read_pickle(path: Path) -> dict[str, LazyTensor]:
    """Return every tensor of a file that ``torch.save`` made, by name.

    Raises:
        InputError: the file is damaged, or holds something else than tensors.
        UnsupportedError: torch is not installed, or too old to be safe; or a tensor has another dtype.
    """
    try:
        import torch
    except ImportError as error:
        raise UnsupportedError(
            "The weights are a pickle; reading one safely takes torch, which is not installed.",
            where=path,
            hint=f"pip install 'ollama-pack[torch]', or {_SAVE_AGAIN}",
        ) from error
    version = tuple(int(number) for number in torch.__version__.split("+")[0].split(".")[:2])
    if version < OLDEST_TORCH:
        raise UnsupportedError(
            f"torch {torch.__version__} cannot read a pickle safely; 2.6 and later can.",
            where=path,
            hint=f"pip install 'torch>=2.6', or {_SAVE_AGAIN}",
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(loaded, dict) or not all(
            isinstance(each, torch.Tensor) for each in loaded.values()
        ):
            raise _not_tensors(path, "it is no table of tensors")
        return {str(name): _lazy_from_torch(path, str(name), tensor) for name, tensor in loaded.items()}
    except OSError as error:
        raise InputError(f"Cannot read the weights: {error.strerror or error}.", where=path) from error
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise _not_tensors(path, str(error).strip().partition("\n")[0]) from error
    except torch.serialization.pickle.UnpicklingError as error:
        raise _not_tensors(path, "it asks for more than tensors") from error


def _lazy_from_torch(path: Path, name: str, tensor: "torch.Tensor") -> LazyTensor:  # type: ignore[name-defined]  # noqa: F821
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in EXACT_IN_FLOAT32:
        raise UnsupportedError(
            f"The tensor is stored as {kind}; LoRA weights are {', '.join(EXACT_IN_FLOAT32)}.",
            where=f"{path}: {name}",
            hint="save the adapter in one of these dtypes, then build again",
        )
    numbers = tensor.detach().float().contiguous().numpy()
    return LazyTensor(path, name, tuple(numbers.shape), (), lambda: numbers)


def _not_tensors(path: Path, reason: str) -> InputError:
    return InputError(
        f"The file is damaged, or holds other things than tensors: {reason:.200}.",
        where=path,
        hint=_SAVE_AGAIN,
    )
