"""Compares a base that is known by its name, before anything is read of its weights.

The base that a user names is compared with the one in training offline, by its sizes and by the catalog,
which knows the weights of Ollama models. The proof of the base follows when its header is read.
"""

from collections.abc import Iterator

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.lookup import find_entry, same_weights
from ollama_pack.base.model import BaseModel
from ollama_pack.verify.base_mismatch import BaseMismatch, mismatch_of
from ollama_pack.verify.base_sizes import MismatchText, size_mismatches

_COMPARED_SIZES = ("blocks", "hidden", "heads", "kv_heads", "head_dim", "feed_forward")


def compare_named_base(trained: ExpectedBase, base: BaseModel) -> tuple[BaseMismatch, ...]:
    """Return the mismatches between the base that was named and the one in training, errors first.

    The sizes of a GGUF file are not compared here: `compare_base` does that, with everything else.

    Args:
        trained: what is known about the base in training.
        base: the base as it was found; the mapping uses its sizes.
    """
    texts = [*_differing_sizes(trained, base), *_other_weights(trained, base)]
    return tuple(mismatch_of(*each) for each in texts)


def _differing_sizes(trained: ExpectedBase, base: BaseModel) -> Iterator[MismatchText]:
    """Yield the sizes that differ. Another architecture may be another layout of the same weights."""
    known, own = trained.hparams, base.hparams
    if base.info is None and known is not None and known.arch == own.arch and not own.heads_per_layer:
        found = {name: getattr(own, name) for name in _COMPARED_SIZES if getattr(own, name)}
        yield from size_mismatches(known, found)


def _other_weights(trained: ExpectedBase, base: BaseModel) -> Iterator[MismatchText]:
    """Yield a mismatch if the catalog knows both bases, and they have different weights."""
    entry, own = find_entry(trained.base_id), find_entry(base.source_id)
    if entry is not None and own is not None and not same_weights(entry, own):
        yield "relative", entry.source_id, f"the weights of {own.source_id}, as far as its name tells"
