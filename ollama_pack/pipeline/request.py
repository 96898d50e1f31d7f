"""The request of a user, from the command line or from Python."""

from dataclasses import dataclass
from pathlib import Path

from ollama_pack.errors import UsageError

VIA_CHOICES = ("auto", "create", "pull", "store", "folder")
LARGEST_WEIGHT = 1e9
"""The largest absolute value of a weight or scale; with it, the products stay within float32."""

ACCEPTABLE_MISMATCHES = (
    *("blocks", "hidden", "heads", "kv-heads", "head-dim", "feed-forward", "fewer-blocks", "tokens"),
    *("vocabulary", "added-tokens", "merges", "bos", "eos", "pad", "rope-base", "norm-epsilon", "context"),
    *("relative", "moved", "untold"),
)
"""The codes of mismatches that may be accepted; `ollama_pack.verify.base` says what each means."""

OUTTYPES = ("f16", "f32", "bf16", "q8_0", "auto")
PROMPT_CHOICES = ("auto", "inherit", "trained")
QUANTISED_TYPES = {
    **dict.fromkeys(("iq1_s", "iq1_m"), 19),
    **dict.fromkeys(("iq2_xxs", "iq2_xs", "iq2_s", "iq2_m"), 17),
    **dict.fromkeys(("iq3_xxs", "iq3_xs", "iq3_s", "iq3_m"), 21),
    **dict.fromkeys(("q2_k", "q2_k_s"), 10),
    **dict.fromkeys(("q3_k_s", "q3_k_m", "q3_k_l"), 11),
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "iq4_nl": 20,
    "iq4_xs": 23,
    **dict.fromkeys(("q4_k_s", "q4_k_m"), 12),
    **dict.fromkeys(("q5_k_s", "q5_k_m"), 13),
}
"""Mixture of types that llama.cpp quantises a whole file to → the ggml type of most of it."""

NEED_IMATRIX = ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "q2_k_s")
"""Mixtures that llama.cpp makes only with an importance matrix."""

MERGE_TYPE_CHOICES = ("auto", "q8_0", "f16", "bf16", "f32", "q6_k", "q5_k", "same", *sorted(QUANTISED_TYPES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asks for, as plain values; making a request reads no file. Only the directory is required.

    Attributes:
        directory: the adapter directory.
        others: the directories of further adapters, which are summed with the first.
        weights: the factor of each adapter, as many as there are adapters; empty means 1 for each.
        scale: the factor of the whole adapter.
        adapter: the name of one of several adapters in a directory; empty for the one at its top.
        allow_noop: whether an adapter that changes nothing is accepted.
        load: whether the model must pass the load proof in a daemon before it takes its name.
        load_here: whether llama.cpp makes that proof, before the registration, if no daemon can.
        merge: whether the adapter is merged into its base, whose weights must then be at hand.
        merge_type: the type of the weights that change: ``auto`` or one of `MERGE_TYPE_CHOICES`.
        merge_size: the largest size of a merged file in bytes, for which a type is chosen for each weight
            that changes; None for one type for all.
        imatrix: an importance matrix, for a type that a merged file is quantised to as a whole.
        kept_on: a text on which the merged model is compared with the base and the adapter beside it.
        min_kept: the smallest share of ΔW of a weight that a merged file must keep; None for the usual one.
        name: the name of the model; empty to derive it from the directory.
        base: an Ollama model, a Hugging Face id or a GGUF file; empty to take it from Modelfile.txt, else
            from adapter_config.json.
        via: the delivery: ``auto``, ``create``, ``pull``, ``store`` or ``folder``.
        template: the name or the file of a template; None for the author's Modelfile.txt, else ``inherit``;
            empty to remove the TEMPLATE of the base.
        prompt: ``auto`` for the prompts that were trained if they can be compared, ``inherit`` for those of
            the base, ``trained`` to fail unless they are proved.
        system: the system prompt; None for the author's, else that of the base; empty to remove that.
        parameters: the PARAMETERs to set, as pairs of key and value.
        outtype: ``f16``, ``f32``, ``bf16``, ``q8_0`` or ``auto``.
        out: the output directory; None for ``ollama/`` in the directory of the adapter, or ``NAME/ollama/``
            in the working directory if that of the adapter is read-only or a cache of downloads. For a sum of
            adapters, None stands for a directory with the model's name beside the first adapter.
        store: the Ollama model store; None for OLLAMA_MODELS, else for the default stores of Ollama.
        strict: whether a base is rejected if it may not be the one that the adapter was trained on.
        base_mismatch_ok: the codes of mismatches with the base that are accepted.
        online: whether a base may be looked up at Hugging Face and in Ollama's registry.

    Example:
        >>> from ollama_pack import Request
        >>> Request(directory="ada-lovelace-lora", outtype="bf16").outtype
        'bf16'
    """

    directory: Path
    others: tuple[Path, ...] = ()
    weights: tuple[float, ...] = ()
    scale: float = 1.0
    adapter: str = ""
    allow_noop: bool = False
    load: bool = True
    load_here: bool = False
    merge: bool = False
    merge_type: str = "auto"
    merge_size: int | None = None
    imatrix: Path | None = None
    kept_on: Path | None = None
    min_kept: float | None = None
    name: str = ""
    base: str = ""
    via: str = "auto"
    template: str | None = None
    prompt: str = "auto"
    system: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    outtype: str = "f16"
    out: Path | None = None
    store: Path | None = None
    strict: bool = False
    base_mismatch_ok: tuple[str, ...] = ()
    online: bool = False

    def __post_init__(self) -> None:
        """Convert text to paths, and check the values that can be checked without reading a file.

        Raises:
            UsageError: a value is not one of the known ones, a weight is not a usable number, or two options
                exclude each other.
        """
        object.__setattr__(self, "others", tuple(Path(other) for other in self.others))
        weights, adapters = len(self.weights), 1 + len(self.others)
        if self.weights and weights != adapters:
            raise UsageError(
                f"The number of weights ({weights}) is not the number of adapters ({adapters}).",
                code="bad-option",
            )
        for number in (self.scale, *self.weights):
            if not abs(number) <= LARGEST_WEIGHT:
                raise UsageError(
                    f"{number:g} is not a usable weight: the limits are ±{LARGEST_WEIGHT:g}.",
                    code="bad-option",
                )
        if not self.allow_noop and not any(weight * self.scale for weight in self.weights or (1.0,)):
            raise UsageError(
                "A scale of 0 makes an adapter that does nothing.",
                hint="--allow-noop  if that is intended",
                code="bad-option",
            )
        if self.merge_size is not None and self.merge_type != "auto":
            raise UsageError(
                "--merge-size chooses the types of a merged file, so --merge-type cannot be given too.",
                hint="--merge-size without --merge-type",
                code="bad-option",
            )
        self._require_imatrix()
        for name in ("directory", "out", "store", "imatrix", "kept_on"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))
        choices: list[tuple[str, tuple[str, ...]]] = [
            (self.via, VIA_CHOICES),
            (self.outtype, OUTTYPES),
            (self.prompt, PROMPT_CHOICES),
            (self.merge_type, MERGE_TYPE_CHOICES),
        ]
        choices += [(code, ACCEPTABLE_MISMATCHES) for code in self.base_mismatch_ok]
        for value, known in choices:
            if value not in known:
                raise UsageError(f"{value!r} is not one of {', '.join(known)}.", code="bad-option")

    def _require_imatrix(self) -> None:
        """Require an importance matrix where one is needed, and none where it would be ignored.

        Raises:
            UsageError: it is missing, or has no use.
        """
        if self.imatrix is None and self.merge_type in NEED_IMATRIX:
            raise UsageError(
                f"llama.cpp quantises to {self.merge_type} with an importance matrix only.",
                hint="--imatrix FILE, or --merge-type q4_k_m",
                code="bad-option",
            )
        if self.imatrix is not None and self.merge_type not in QUANTISED_TYPES:
            raise UsageError(
                "An importance matrix has a use only where the whole file is quantised.",
                hint="--merge-type q4_k_m, or leave out --imatrix",
                code="bad-option",
            )

    @property
    def directories(self) -> tuple[Path, ...]:
        """Return the directories of all adapters."""
        return (self.directory, *self.others)
