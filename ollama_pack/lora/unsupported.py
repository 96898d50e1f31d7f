"""The table of every reason for which an adapter is not written, and the collector of rule violations.

The stages add what they find to `RuleViolations` under the code of a rule. The rule says whether the adapter
is damaged or unsupported, why, and what to do instead. An adapter that violates no rule is written exactly.
Why it is one table: docs/decisions.md, "One table of rules". A test checks docs/adapters.md against it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

from ollama_pack.errors import InputError, PackError, UnsupportedError, fold_numbered_names, natural_key
from ollama_pack.lora import hints
from ollama_pack.lora.rule import Rule, Severity

MOST_LINES = 24
"""The number of lines one rule may take in an error. Names that differ only in numbers share a line."""


def _unsupported(feature: str, reason: str, hint: str = hints.MERGE_HINT) -> Rule:
    """Return a rule whose violation raises UnsupportedError."""
    return Rule(Severity.UNSUPPORTED, feature, reason, hint)


_mergeable = partial(_unsupported, hint=hints.BY_MERGE)  # a rule about what a merged model holds
_by_peft = partial(_unsupported, hint=hints.BY_PEFT)  # a rule about what PEFT merges weight by weight
_damaged = partial(Rule, Severity.DAMAGED)

RULES: dict[str, Rule] = {
    # Tensors that are not the factors A and B.
    "dora": _mergeable("DoRA", "it rescales every row of W + ΔW, which the factors A and B cannot express"),
    "lora-bias": _unsupported(
        "lora_bias", "B has a bias, and a GGUF LoRA file cannot hold biases", hints.NO_LORA_BIAS
    ),
    "bias": _mergeable("trained biases", "a GGUF LoRA file cannot hold biases"),
    "norm": _mergeable("modules_to_save: norms", "llama.cpp ignores norm weights in a LoRA file"),
    "whole-weight": _mergeable(
        "modules_to_save: linear weights", "the whole weight was trained, not the factors A and B"
    ),
    "whole-embedding": _mergeable(
        "modules_to_save: head or embeddings",
        "the whole output head or embedding was trained, not the factors A and B",
    ),
    "resized": _mergeable(
        "resized vocabulary", "the base in Ollama has another vocabulary than the one in training"
    ),
    "trained-tokens": _mergeable(
        "trainable tokens", "rows of the embedding were trained, not the factors A and B"
    ),
    "vision": _unsupported(
        "LoRA on a vision or audio tower",
        "it was trained, and llama.cpp keeps the tower in a separate file, to which it applies no LoRA",
        hints.TOWER_HINT,
    ),
    "unknown-tensor": _unsupported(
        "unknown tensors", "this version does not know what they mean", hints.LINEAR_ONLY_HINT
    ),
    # Weights of the base to which llama.cpp does not apply a LoRA as PEFT does.
    "tied": _unsupported(
        "LoRA on lm_head or embed_tokens of a tied base",
        "the head and the embeddings are the same weight there, and llama.cpp rejects the file or crashes",
        hints.UNTIE,
    ),
    "maybe-tied": _unsupported(
        "LoRA on lm_head or embed_tokens, base known by name only",
        "only the GGUF file or config.json of the base says if the head and the embeddings are one weight",
        hints.BASE_FILES_HINT,
    ),
    "ignored": _unsupported(
        "weights that llama.cpp multiplies without LoRA",
        "for this architecture llama.cpp loads the LoRA of these weights but never applies it",
    ),
    "one-sided": _unsupported(
        "weights whose LoRA only llama.cpp applies",
        "PyTorch reads these weights directly, so training never saw the LoRA that llama.cpp would apply",
    ),
    "scaled-beside": _unsupported(
        "experts whose output has a scale",
        "llama.cpp scales the output of these experts but adds their LoRA unscaled",
    ),
    "altered-by-converter": _unsupported(
        "weights that the base's converter changes",
        "it multiplies or divides them by values that the GGUF file does not record",
    ),
    "no-place": _unsupported(
        "modules the architecture does not have",
        "no linear weight of the architecture has this name",
        "ollama-pack archs NAME lists the modules that can be adapted; check that --base is the right model",
    ),
    "experts-unknown": _unsupported(
        "experts of a base known by name only",
        "only the GGUF file or config.json of the base says how many experts there are",
        hints.BASE_FILES_HINT,
    ),
    "states-unknown": _unsupported(
        "gated delta nets and Granite hybrids known by name only",
        "only the GGUF file or config.json of the base gives the sizes of its states and its experts",
        hints.BASE_FILES_HINT,
    ),
    "multipliers": _unsupported(
        "Falcon-H1 without its config.json",
        "the converter multiplies its weights by values that are in config.json and not in the GGUF file",
        "--online, or --base with the directory of its config.json",
    ),
    "sum-apart": _unsupported(
        "a sum of adapters that store experts differently",
        "one stores each expert by itself and another stores a stack; this version sums only like with like",
        "build each adapter by itself",
    ),
    # Settings that change what A and B mean.
    "altered-base": _unsupported(
        "PiSSA, OLoRA, CorDA or LoRA-GA, saved as trained",
        "the adapter fits a base whose weights were changed before training, not the base in Ollama",
        hints.LESS_START,
    ),
    "quantised-base": _unsupported(
        "LoftQ, saved as trained",
        "the adapter fits a base whose weights were quantised anew before training, not the base in Ollama",
        hints.INTO_THE_CHANGED,
    ),
    "kasa": _unsupported(
        "KaSA", "the base was changed before training, and a diagonal matrix stands between A and B"
    ),
    "replication": _unsupported(
        "layer_replication", "the base was built from repeated layers", hints.REPLICATED
    ),
    "variant": _unsupported("other variants of LoRA", "it changes what A and B mean"),
    "mlx-scale": _unsupported(
        "an MLX adapter of early 2024 with both a scale and an alpha",
        "some versions of mlx-lm multiplied the scale by alpha / rank, and the file records no version",
        "set scale in lora_parameters of adapter_config.json to the intended value, and remove alpha",
    ),
    "unknown-setting": _unsupported(
        "unknown settings", "this version does not know what they do to A and B", hints.REMOVE_SETTING
    ),
    # Methods other than LoRA.
    "multiplicative": _by_peft(
        "multiplicative methods", "the change depends on W, so the factors A and B cannot express it"
    ),
    "prompt": _unsupported(
        "prompt methods", "vectors in front of the prompt were trained, not weights", hints.TRAIN_LORA
    ),
    "mixture": _unsupported(
        "mixtures of adapters", "the active adapter is chosen for each token", "build one of its adapters"
    ),
    "full-rank": _by_peft(
        "additive methods of full rank", "exact factors A and B would be larger than W itself",
        hint=hints.BY_PEFT_OR_NEAREST,
    ),
    "not-folded": _by_peft(
        "additive methods without a conversion", "this version cannot compute A and B from their tensors"
    ),
    "as-lora": _by_peft(
        "methods of low rank whose tensors alone do not give A and B",
        "A and B depend on the model that was trained, which PEFT has and the file does not",
        hint=hints.BY_PEFT_OR_LORA,
    ),
    "no-projection": _by_peft(
        "VeRA or TinyLoRA without its projections",
        "they are not in the file (save_projection=False); only torch's random generator can make them",
        hint=hints.BY_PEFT_OR_LORA,
    ),
    "all-weights": _unsupported(
        "methods whose tensors belong to all weights together",
        "what they change of a weight depends on the other weights, so PEFT merges whole models only",
    ),
    "no-weight": _unsupported(
        "methods that change no weight",
        "what they add to a layer depends on the token, as no change of a weight does",
        hints.TRAIN_LORA,
    ),
    "size-unknown": _unsupported(
        "a method whose factors depend on the size of the weight",
        "the base does not tell the size of these weights",
        hints.BASE_FILES_HINT,
    ),
    "no-language-model": _unsupported(
        "classifiers, encoders and T5",
        "Ollama runs an adapter only on a model that predicts the next token",
        hints.OTHER_TASK,
    ),
    "unknown-method": _unsupported("unknown methods", "this version does not know what its tensors mean"),
    # Damage.
    "not-finite": _damaged(
        "NaN or infinity",
        "weights are NaN or infinite: the training diverged",
        "build an earlier checkpoint, from before the loss became NaN",
    ),
    "half": _damaged("A without B", "one of the two factors is missing", hints.COPY_AGAIN),
    "shape": _damaged("shape mismatch", "the shapes of the factors do not match", hints.COPY_AGAIN),
    "rank": _damaged(
        "rank mismatch", "the rank in the file is not the rank in adapter_config.json", hints.COPY_AGAIN
    ),
    "twice": _damaged(
        "the same weight twice", "two names in the adapter mean the same weight", hints.COPY_AGAIN
    ),
    "ungathered": _damaged(
        "tensors without numbers",
        "they are empty, as DeepSpeed ZeRO-3 leaves them if they are not gathered before saving",
        hints.GATHER,
    ),
    "empty": _damaged("no tensors", "nothing was trained, or nothing was saved", hints.COPY_AGAIN),
    "noop": _damaged(
        "an adapter that does nothing",
        "ΔW is zero everywhere, because its scale is 0 or one factor of every weight is zero",
        "--allow-noop, if that is intended; otherwise build a later checkpoint",
    ),
}  # fmt: skip
"""The code of each rule, with the rule. A new reason is a new row here, and a test that shows it."""


class RuleViolations:
    """The violations found in one adapter, collected so that all of them are reported at once.

    Args:
        where: the file in which they were found.
        merge_hint: how the trainer of this adapter merges an adapter into the base.
    """

    def __init__(self, where: object, merge_hint: str = hints.MERGE_HINT) -> None:
        self.where = where
        self._merge_hint = merge_hint
        self._better: list[str] = []
        self._subjects: dict[str, list[str]] = defaultdict(list)

    def add(self, code: str, *subjects: str) -> None:
        """Record the tensors, modules or settings that violate the rule with this code."""
        assert code in RULES, code
        self._subjects[code].extend(subjects)

    def forget(self, codes: Iterable[str]) -> None:
        """Remove the violations of some rules, because the caller has another way."""
        for code in codes:
            self._subjects.pop(code, None)

    def offer(self, hint: str) -> None:
        """Add a hint that helps more than those of the rules; it comes first."""
        self._better.append(hint)

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes of the violated rules, in the order of the table."""
        return tuple(code for code in RULES if code in self._subjects)

    def raise_if_any(self) -> None:
        """Raise one error for all violations, or return if there are none.

        Raises:
            InputError: at least one violation means that the adapter is damaged.
            UnsupportedError: the adapter is intact, but a GGUF LoRA file cannot hold it exactly.
        """
        for severity, kind in ((Severity.DAMAGED, InputError), (Severity.UNSUPPORTED, UnsupportedError)):
            codes = [code for code in self.codes if RULES[code].severity is severity]
            if codes:
                raise self._error(kind, severity, codes)

    def fatal(self, code: str, *subjects: str) -> PackError:
        """Record a violation after which nothing more can be checked, and return the error to raise."""
        self.add(code, *subjects)
        try:
            self.raise_if_any()
        except PackError as error:
            return error
        raise AssertionError("a recorded violation always raises")

    def _error(self, kind: type[PackError], severity: Severity, codes: Sequence[str]) -> PackError:
        """Return one error with the reason and the subjects of each rule, and each hint once."""
        lines, ways = [severity.value], list(self._better)
        for code in codes:
            rule = RULES[code]
            lines.append(f"  - {rule.feature}: {rule.reason}")
            lines += [f"      {line}" for line in _subject_lines(self._subjects[code])]
            hint = rule.hint.replace(hints.MERGE_HINT, self._merge_hint)
            if hint not in ways:
                ways.append(hint)
        return kind(
            "\n".join(lines),
            where=self.where,
            hint="\n       ".join(ways),
            subjects={code: self._subjects[code] for code in codes},
            code=codes[0],
        )


def _subject_lines(subjects: Iterable[str]) -> list[str]:
    """Return at most MOST_LINES lines for the subjects, and then a line with the number of the others."""
    lines = sorted(fold_numbered_names(subjects), key=natural_key)
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"… and {len(lines) - MOST_LINES} more; --json lists them all"]
    return lines
