"""Writes the GGUF LoRA file of a plan, as a stream.

One tensor is in memory at a time. The SHA-256 is taken by a second thread that follows the writer
through the file: hashing is the slowest step, and on two cores it then costs no time of its own.
"""

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from ollama_pack.disk.files import whole_file
from ollama_pack.errors import DestinationError, InputError, file_in_the_way
from ollama_pack.gguf.constants import ALIGNMENT, ALPHA, FLOAT32, MAGIC, VERSION
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.gguf.tensor_data import TensorReader, keep_freed_memory
from ollama_pack.gguf.writer import HashingThread, pack_key, pack_string, pack_text, pack_value
from ollama_pack.lora.export_tensor import cast_tensor
from ollama_pack.lora.outtype import OUTTYPE_NUMBERS, choose_types, join_types, size_in_bytes
from ollama_pack.lora.plan import LoraFile, LoraPlan


def write_lora(
    plan: LoraPlan, path: Path, outtype: str, check: Callable[[Path], None] | None = None
) -> LoraFile:
    """Write a GGUF LoRA file; it appears under its name whole, or not at all.

    The bytes depend on the plan and the weights alone.

    Args:
        plan: the tensors and the metadata of the file.
        path: the place of the file; its directory is made if it is not there.
        outtype: ``f16``, ``f32``, ``bf16``, ``q8_0`` or ``auto``; see `choose_types`.
        check: called with the finished file before it gets its name; what it raises keeps the
            file from appearing.

    Raises:
        InputError: a weight is NaN or infinite, or the weights cannot be read.
        UnsupportedError: a weight is too large for its type.
        DestinationError: the file cannot be written.
    """
    keep_freed_memory()
    kinds = choose_types(plan, outtype)
    with whole_file(path) as file, HashingThread(Path(file.name)) as follower:
        for data in chain([memoryview(_lora_header(plan, kinds))], _tensor_bytes(plan, kinds)):
            file.write(data)
            file.write(bytes(-data.nbytes % ALIGNMENT))
            file.flush()
            follower.allow(file.tell())
        size = file.tell()
        with ThreadPoolExecutor(1, "fsync") as disk:
            safe = disk.submit(os.fsync, file.fileno())
            if check is not None:
                check(Path(file.name))
            safe.result()
        digest = follower.digest()
    return LoraFile(path=path, digest=digest, size=size, outtype=join_types(kinds))


def require_replaceable(path: Path) -> None:
    """Require that a GGUF LoRA written to `path` replaces nothing but another one.

    Raises:
        RefusedError: another kind of file has that path.
        DestinationError: what is there cannot be read.
    """
    try:
        if not path.exists():
            return
        kind = read_gguf(path).text("general.type")
    except InputError:
        kind = ""
    except OSError as error:
        raise DestinationError(f"This cannot be written: {error.strerror}.", where=path) from error
    if kind != "adapter":
        raise file_in_the_way(
            path, "it is not a GGUF LoRA", hint="--out with another place, or move the file away"
        )


def planned_size(plan: LoraPlan, outtype: str) -> int:
    """Return the size in bytes that `write_lora` will give the file."""
    kinds = choose_types(plan, outtype)
    sizes = [size_in_bytes(tensor.shape, kind) for tensor, kind in zip(plan.tensors, kinds, strict=True)]
    return len(_lora_header(plan, kinds)) + sum(size + -size % ALIGNMENT for size in sizes)


def planned_header(plan: LoraPlan) -> GgufFile:
    """Return what the header of the file will say of its tensors, before it is written."""
    metadata = {"general.architecture": plan.arch, "general.type": "adapter", "adapter.type": "lora"}
    shapes = {tensor.name: tensor.shape for tensor in plan.tensors}
    return GgufFile(Path(), {**plan.metadata, **metadata, ALPHA: plan.alpha}, shapes, {}, {})


def _lora_header(plan: LoraPlan, kinds: Sequence[str]) -> bytes:
    """Return the header of a GGUF LoRA file: its keys, and the place of each tensor."""
    keys = [
        pack_text("general.architecture", plan.arch),
        pack_text("general.type", "adapter"),
        *(pack_value(key, value) for key, value in sorted(plan.metadata.items())),
        pack_text("adapter.type", "lora"),
        pack_key(ALPHA, FLOAT32) + struct.pack("<f", plan.alpha),
    ]
    infos, offset = [], 0
    for tensor, kind in zip(plan.tensors, kinds, strict=True):
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
        infos.append(
            pack_string(tensor.name) + dimensions + struct.pack("<IQ", OUTTYPE_NUMBERS[kind], offset)
        )
        nbytes = size_in_bytes(tensor.shape, kind)
        offset += nbytes + -nbytes % ALIGNMENT
    header = MAGIC + struct.pack("<IQQ", VERSION, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    return header + bytes(-len(header) % ALIGNMENT)


def _tensor_bytes(plan: LoraPlan, kinds: Sequence[str]) -> Iterator[memoryview]:
    """Yield the bytes of each tensor, in order."""
    with TensorReader() as weights:
        for tensor, kind in zip(plan.tensors, kinds, strict=True):
            yield cast_tensor(weights, tensor, kind).reshape(-1).view("u1").data
