"""The nouns of the base proof: what an adapter was trained with, what a base has, and where they disagree."""

from dataclasses import dataclass

from ollama_pack.arch.hparams import Base
from ollama_pack.gguf.model_info import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedBase:
    """What is known of the base that an adapter was trained on, without having it.

    Attributes:
        base_id: ``base_model_name_or_path``; empty where the adapter does not say.
        numbers: of that base, from the catalog or its config.json; None where they are not known.
        rope_base: the base of its rotary embeddings, 0 where unknown.
        context: how many tokens it was made for, 0 where unknown.
        vocabulary: of the tokenizer that was saved with the adapter; None where none was.
        blocks: of the base, as far as the adapter tells: one more than the last it changes, where it changes
            all below; 0 where it tells nothing.
        strict: whether warnings are errors.
        accepted: codes of disagreements that the user takes.
        notes: what could not be compared, and why.
    """

    base_id: str = ""
    numbers: Base | None = None
    rope_base: float = 0.0
    context: int = 0
    vocabulary: Vocabulary | None = None
    blocks: int = 0
    strict: bool = False
    accepted: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
