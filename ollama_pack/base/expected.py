"""What is known of the base that an adapter was trained on, without having that base."""

from dataclasses import dataclass, field

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import Positions
from ollama_pack.gguf.model_info import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedBase:
    """What an adapter expects of its base. A found base is compared with it before anything is registered.

    Attributes:
        base_id: the ``base_model_name_or_path`` of the adapter, or empty if it has none.
        hparams: the sizes of that base, from its config.json or the catalog, or None if they are unknown.
        positions: its rope base, context and norm epsilon, as far as they are known.
        placed: the sizes that placed the rows of the GGUF LoRA file, or None if they are not known.
        manifest: the digest of the base's manifest at the last build, ``sha256:…``; empty if it is unknown.
        vocabulary: the tokenizer that was saved with the adapter, or None if there was none.
        blocks: the number of layers the adapter covers if it covers a gap-free range from 0, else 0.
        strict: whether warnings are errors.
        accepted: the codes of mismatches that the user accepts.
        notes: what could not be compared, and why.
    """

    base_id: str = ""
    hparams: HParams | None = None
    positions: Positions = field(default_factory=Positions)
    placed: HParams | None = None
    manifest: str = ""
    vocabulary: Vocabulary | None = None
    blocks: int = 0
    strict: bool = False
    accepted: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
