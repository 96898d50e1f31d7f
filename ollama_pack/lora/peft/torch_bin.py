"""Read adapter_model.bin with the safe loader of torch.

Loading a pickle can run any program. torch's ``weights_only`` loads nothing but plain tensors, but it could
be bypassed before torch 2.6 (CVE-2025-32434), so older versions are not used. No other module of the package
imports torch. Why: docs/decisions.md, "Pickles are data".
"""

import contextlib
from pathlib import Path

from ollama_pack.disk.files import refuse_pointer
from ollama_pack.errors import InputError, UnsupportedError, one_line
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.hints import COPY_AGAIN
from ollama_pack.shown import reason_of

OLDEST_TORCH = (2, 6)
"""The first version of torch whose ``weights_only`` is safe."""

READ_AS_FLOAT32 = ("float64", "float32", "float16", "bfloat16", "uint8", "int16", "int32", "int64")
"""The dtypes that are read. Only float64 is rounded, as PEFT does; integers are indices."""

_STARTS = (b"PK\x03\x04", b"\x80")
"""How the two formats of torch.save begin: an archive, and before torch 1.6 a pickle."""

_SAVE_AGAIN = "save the adapter again with model.save_pretrained(DIR, safe_serialization=True)"


def read_pickle(path: Path) -> dict[str, LazyTensor]:
    """Return every tensor of a file that ``torch.save`` wrote, by name, in float32.

    Raises:
        InputError: the file is damaged, or holds objects other than tensors.
        UnsupportedError: torch is not installed or too old to be safe, or the dtype of a tensor is not one of
            `READ_AS_FLOAT32`.
    """
    _require_pickle(path)
    try:
        import torch
    except ImportError as error:
        raise UnsupportedError(
            "The weights are a pickle. Reading it safely needs torch, which is not installed.",
            where=path,
            hint=f"pip install 'ollama-pack[torch]', or {_SAVE_AGAIN}",
            code="extra-missing",
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
            raise _not_tensors(path, "it is not a dictionary of tensors")
        return {str(name): _lazy_from_torch(path, str(name), tensor) for name, tensor in loaded.items()}
    except OSError as error:
        raise InputError(f"Cannot read the weights: {reason_of(error)}.", where=path) from error
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise _not_tensors(path, reason_of(error)) from error
    except torch.serialization.pickle.UnpicklingError as error:
        raise _not_tensors(path, "it contains objects that are not tensors") from error


def _require_pickle(path: Path) -> None:
    """Require a file that may be one of ``torch.save``, so that nobody installs torch in vain.

    Raises:
        InputError: the file is empty, a pointer of Git LFS, or of another kind, such as an error page.
    """
    start = _STARTS[0]
    with contextlib.suppress(OSError), path.open("rb") as file:  # torch tells why it cannot be read
        start = file.read(64)
    refuse_pointer(path, start)
    if not start:
        raise InputError("The file is empty.", where=path, hint=COPY_AGAIN)
    if not start.startswith(_STARTS):
        shown = one_line(start[:24].decode("utf-8", "replace"))
        raise InputError(
            f"This is not a file that torch.save wrote; it begins with {shown!r}.",
            where=path,
            hint=COPY_AGAIN,
        )


def _lazy_from_torch(path: Path, name: str, tensor: "torch.Tensor") -> LazyTensor:  # type: ignore[name-defined]  # noqa: F821
    """Return a tensor of torch as float32 values of numpy.

    Raises:
        UnsupportedError: it is no dtype of LoRA weights.
    """
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in READ_AS_FLOAT32:
        raise UnsupportedError(
            f"The tensor is stored as {dtype}; supported are {', '.join(READ_AS_FLOAT32)}.",
            where=f"{path}: {name}",
            hint="save the adapter in one of these dtypes",
        )
    numbers = tensor.detach().float().contiguous().numpy()
    return LazyTensor(path, name, tuple(numbers.shape), (), lambda: numbers)


def _not_tensors(path: Path, reason: str) -> InputError:
    """Return the error for a file that the loader rejects."""
    return InputError(
        f"The file is damaged, or holds objects other than tensors: {reason:.200}.",
        where=path,
        hint=_SAVE_AGAIN,
    )
