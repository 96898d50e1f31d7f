"""The keys of a merged GGUF that are not those of its base."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ollama_pack.gguf.blocks import type_name
from ollama_pack.gguf.constants import FILE_TYPES, MERGED_ADAPTER
from ollama_pack.gguf.ggml_types import F32
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.lora.plan import LoraPlan
from ollama_pack.lora.vocabulary import VocabularyChange

if TYPE_CHECKING:
    from ollama_pack.merge.plan import MergedTensor


@dataclass(frozen=True, slots=True)
class MergeLabels:
    """What a merged file records of itself, and how its tensors, tokens and layers differ from the base's.

    Attributes:
        name: the name of the merged model, for ``general.name``; empty to keep the base's.
        adapter: the digest of the adapter's weights.
        chat_template: the chat template that was trained; empty to keep the base's.
        own_head: whether the head of a tied base becomes a tensor of its own.
        vocabulary: the change of the vocabulary; None to keep the base's.
        layers: for each of its layers, the layer of the base that it is made of; empty to keep the base's.
    """

    name: str = ""
    adapter: str = ""
    chat_template: str = ""
    own_head: bool = False
    vocabulary: VocabularyChange | None = None
    layers: tuple[int, ...] = ()


FILE_TYPE, NAME, CHAT_TEMPLATE = "general.file_type", "general.name", "tokenizer.chat_template"
_FILE_TYPE_OF = {name: number for number, name in FILE_TYPES.items()}
"""The name of a type → ``general.file_type`` of a model most of whose bytes have this type."""


def merged_keys(
    header: GgufFile, lora: LoraPlan, tensors: "Sequence[MergedTensor]", labels: MergeLabels
) -> dict[str, str | int]:
    """Return the keys that the merged file sets: its name, base, chat template, and file type.

    Args:
        header: the header of the base.
        lora: the plan of the GGUF LoRA file, which names the base.
        tensors: the tensors of the merged file.
        labels: what the file records of itself.
    """
    keys: dict[str, str | int] = {
        key: value for key, value in lora.metadata.items() if isinstance(value, (str, int))
    }
    keys[MERGED_ADAPTER] = labels.adapter
    if labels.name:
        keys[NAME] = labels.name
    if labels.chat_template:
        keys[CHAT_TEMPLATE] = labels.chat_template
    before = _largest_type((tensor.base.kind, tensor.base.nbytes) for tensor in tensors)
    after = _largest_type((tensor.kind, tensor.nbytes) for tensor in tensors)
    if before != after and FILE_TYPE in header.metadata and (name := type_name(after)) in _FILE_TYPE_OF:
        keys[FILE_TYPE] = _FILE_TYPE_OF[name]
    return keys


def _largest_type(sizes: Iterator[tuple[int, int]]) -> int:
    """Return the ggml type that has the most bytes."""
    total: dict[int, int] = {}
    for kind, nbytes in sizes:
        total[kind] = total.get(kind, 0) + nbytes
    return max(total, key=lambda kind: total[kind], default=F32)
