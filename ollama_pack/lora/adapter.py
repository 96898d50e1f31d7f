"""The values that describe an adapter: its pairs of factors A and B, and what its configuration says."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.gguf.tensors import StoredTensor, Tensor, leaves
from ollama_pack.lora.factors import Fit


class LoraPair(NamedTuple):
    """The factors of one adapted weight: ΔW = alpha / rank · B · A, for each expert if there are experts.

    Attributes:
        module: the name of the module in the base, ``model.layers.0.self_attn.q_proj``.
        a: the factor A, ``rank × in`` or ``experts × rank × in``.
        b: the factor B, ``out × rank`` or ``experts × out × rank``.
        alpha: the number for which alpha / rank is PEFT's scale of B·A. It already includes rsLoRA
            (alpha / √rank) and the patterns of the configuration.
        fit: the function that makes A and B for the size of the weight, if the trained tensors do not tell it
            (`ollama_pack.lora.factors.Fit`); `pairs.fitted_pair` calls it.
    """

    module: str
    a: Tensor
    b: Tensor
    alpha: float
    fit: Fit | None = None

    @property
    def rank(self) -> int:
        """Return the rank, the inner dimension of B·A."""
        return self.a.shape[-2]

    @property
    def scale(self) -> float:
        """Return the number that B·A is multiplied by."""
        return self.alpha / self.rank


class TrainedTensor(NamedTuple):
    """A tensor that was trained beside A and B.

    Attributes:
        rule: the code of the rule that keeps it out of a GGUF LoRA file (``norm``, ``dora``), and so its
            kind.
        module: the name of its module in the base.
        tensor: its numbers.
    """

    rule: str
    module: str
    tensor: Tensor


class PeftModule(NamedTuple):
    """A module whose change cannot be written as A and B, so that PEFT itself has to merge it.

    Attributes:
        module: its name in the base.
        trained: its name in the adapter's files.
        tensors: the tensors that were trained for it.
    """

    module: str
    trained: str
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk, with every adapted weight converted to a pair of factors A and B.

    Attributes:
        directory: the directory that holds the adapter.
        weights: the file that holds its weights.
        pairs: one pair for each adapted weight, in the natural order of the module names.
        rank: the ``r`` of the configuration.
        alpha: the ``lora_alpha`` of the configuration.
        base_id: the ``base_model_name_or_path`` of the configuration, or '' if there is none.
        config: the parsed adapter_config.json.
        method: the usual name of the training method, ``LoRA`` or ``AdaLoRA``.
        invocation: the ids of the tokens after which an aLoRA is active. It is empty if the adapter is
            always active.
        notes: what the user should know about this adapter.
        beside: the tensors that were trained besides A and B, which only a merged model can hold; it is empty
            unless the adapter was read to be merged.
        by_peft: the modules that PEFT itself has to merge, all or none; empty unless the adapter was read to
            be merged.
        vocabulary: the tokenizer of the training, if a merged model needs tokens that its base lacks.
        copies: the frozen embeddings and heads in its file; unless the vocabulary was resized, the base has
            the same.

    Example:
        >>> from ollama_pack import read_adapter
        >>> adapter = read_adapter("ada-lovelace-lora")
        >>> adapter.method, adapter.base_id, len(adapter.pairs)
        ('LoRA', 'HuggingFaceTB/SmolLM2-135M-Instruct', 2)
    """

    directory: Path
    weights: Path
    pairs: tuple[LoraPair, ...]
    rank: int
    alpha: float
    base_id: str
    config: Mapping[str, Any]
    method: str = "LoRA"
    invocation: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    beside: tuple[TrainedTensor, ...] = ()
    by_peft: tuple[PeftModule, ...] = ()
    copies: tuple[TrainedTensor, ...] = ()
    vocabulary: Vocabulary | None = None


_LAYER_NUMBER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.([0-9]{1,6})\.")


def layer_of(module: str) -> int | None:
    """Return the layer number in a module's name, ``model.layers.3.mlp`` → 3, or None if there is none."""
    match = _LAYER_NUMBER.search(f"{module}.")
    return int(match[1]) if match else None


def leaves_of(pair: LoraPair) -> tuple[Tensor, ...]:
    """Return the stored tensors that A and B of a pair are computed from. A tensor may be there twice."""
    return leaves(pair.a) + leaves(pair.b)


def tensors_of(pairs: Iterable[LoraPair]) -> tuple[Tensor, ...]:
    """Return the stored tensors that the pairs are computed from, each once."""
    return tuple({(leaf.path, leaf.name): leaf for pair in pairs for leaf in leaves_of(pair)}.values())


def trained_tensors(adapter: Adapter) -> tuple[Tensor, ...]:
    """Return the tensors in the adapter's files that were trained, each once."""
    return (
        *tensors_of(adapter.pairs),
        *(trained.tensor for trained in adapter.beside),
        *(tensor for module in adapter.by_peft for tensor in module.tensors),
    )


def dtypes_of(adapter: Adapter) -> tuple[str, ...]:
    """Return the dtypes that an adapter is stored in. Tensors that torch has read count as F32."""
    kinds = {leaf.dtype if isinstance(leaf, StoredTensor) else "F32" for leaf in trained_tensors(adapter)}
    return tuple(sorted(kinds))
