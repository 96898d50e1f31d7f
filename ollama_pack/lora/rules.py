"""DECIDE  what becomes of an adapter: every reason to refuse one, or to call it damaged, in one table.

The stages find things and add them to `Findings` under a rule's code; the rule says which fate
follows, why, and the way out. What no rule stops is written, exactly. docs/adapters.md is checked
against this table.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ollama_pack.errors import InputError, PackError, UnsupportedError, fold_numbered_names, natural_key

MERGE_HINT = "PEFT's merge_and_unload, and the merged model as a GGUF file"
MERGE = f"--merge, once it is there; until then {MERGE_HINT}"
LINEAR_ONLY_HINT = "train LoRA on linear modules alone"
MOST_LINES = 24
"""Lines a rule may take in an error; names that differ in a number share one."""


class Severity(Enum):
    """What a rule means for the adapter, and the headline people read."""

    DAMAGED = "The adapter is damaged, or its files do not belong together:"
    REFUSED = "A GGUF LoRA file cannot carry this adapter exactly:"


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason why an adapter is not written.

    Attributes:
        severity: damaged (exit 3) or refused (exit 4).
        feature: what it is about, as a table of features would call it.
        reason: why it cannot be, or what is wrong with it.
        remedy: a command, an option or a call that exists.
    """

    severity: Severity
    feature: str
    reason: str
    remedy: str


def _refused(feature: str, reason: str, way_out: str = MERGE) -> Rule:
    return Rule(Severity.REFUSED, feature, reason, way_out)


def _damaged(feature: str, reason: str, way_out: str) -> Rule:
    return Rule(Severity.DAMAGED, feature, reason, way_out)


_COPY = "copy the directory again from where it was trained, or build a checkpoint of it"
_CONVERT = (
    "where the adapter was saved before training as START: model.save_pretrained(DIR, "
    "path_initial_model_for_weight_conversion=START); else merge_and_unload on the altered base, and the "
    "merged model as a GGUF file"
)

RULES: dict[str, Rule] = {
    # tensors that A and B do not hold
    "dora": _refused("DoRA", "it rescales every row of W + ΔW, which no A and B express"),
    "lora-bias": _refused("lora_bias", "B has a bias of its own, and a GGUF LoRA has none"),
    "bias": _refused("trained biases", "a GGUF LoRA has no biases"),
    "norm": _refused("modules_to_save: norms", "llama.cpp reads norms in a LoRA file and ignores them"),
    "whole-weight": _refused("modules_to_save: linear weights", "a whole weight was trained, not A and B"),
    "whole-embedding": _refused(
        "modules_to_save: head or embeddings", "a whole head or embedding was trained, not A and B"
    ),
    "resized": _refused(
        "resized vocabulary", "the base in Ollama has other tokens than the one it was trained on"
    ),
    "trained-tokens": _refused("trainable tokens", "rows of the embedding were trained, not A and B"),
    "vision": _refused(
        "LoRA on a vision or audio tower",
        "llama.cpp keeps that tower in another file without LoRA",
        LINEAR_ONLY_HINT,
    ),
    "unknown-tensor": _refused(
        "unknown tensors", "what they mean is unknown to this version", LINEAR_ONLY_HINT
    ),
    # weights of the base that a LoRA does not reach
    "tied": _refused(
        "LoRA on lm_head or embed_tokens of a tied base",
        "head and embeddings are one weight there: llama.cpp refuses the file or crashes on it",
    ),
    "maybe-tied": _refused(
        "LoRA on lm_head or embed_tokens, base known by name only",
        "whether head and embeddings are one weight is known from its GGUF file or config.json",
        "--base FILE.gguf, or --base with the directory of its config.json",
    ),
    "ignored": _refused(
        "weights that llama.cpp multiplies without LoRA",
        "on this architecture llama.cpp loads the LoRA of these weights and never applies it",
    ),
    "one-sided": _refused(
        "weights whose LoRA only llama.cpp applies",
        "torch takes the weight itself, so training never saw the LoRA that llama.cpp would add",
    ),
    "scaled-beside": _refused(
        "experts whose output has a scale",
        "llama.cpp scales what these experts give and adds their LoRA beside it, unscaled",
    ),
    "altered-by-converter": _refused(
        "weights that the base's converter alters",
        "it multiplies them with numbers, or divides them by norms, that a GGUF file does not tell",
    ),
    "no-place": _refused(
        "modules the architecture does not have",
        "no linear weight of the architecture has this name",
        "ollama-pack archs NAME  lists the modules that can be adapted; is --base the right one?",
    ),
    "experts-unknown": _refused(
        "experts of a base known by name only",
        "how many experts there are is known from its GGUF file or config.json",
        "--base FILE.gguf, or --base with the directory of its config.json",
    ),
    "states-unknown": _refused(
        "gated delta nets and Granite hybrids known by name only",
        "the sizes of their states, and whether they have experts, are told by the GGUF file or config.json",
        "--base FILE.gguf, or --base with the directory of its config.json",
    ),
    "multipliers": _refused(
        "Falcon-H1 without its config.json",
        "its weights were multiplied with numbers that stand there and not in a GGUF file",
        "--online, or --base with the directory of its config.json",
    ),
    "sum-apart": _refused(
        "a sum of adapters that hold experts in two ways",
        "one holds them one by one, another as a stack, and this version sums what is held alike",
        "build each of them by itself",
    ),
    # settings that change what A and B mean
    "altered-base": _refused(
        "PiSSA, OLoRA, CorDA, LoftQ or LoRA-GA, saved as trained",
        "the adapter fits a base that was altered when training began, not the one in Ollama",
        _CONVERT,
    ),
    "kasa": _refused(
        "KaSA", "the base was altered when training began, and a diagonal stands between A and B"
    ),
    "replication": _refused("layer_replication", "the base was stacked from repeated layers"),
    "variant": _refused("other variants of LoRA", "it changes what A and B mean"),
    "mlx-scale": _refused(
        "an MLX adapter of early 2024 with an alpha of its own",
        "versions of mlx-lm differ in whether they multiplied by alpha / rank, and the file does not say",
        "put the scale that was meant into lora_parameters of adapter_config.json, and take alpha out",
    ),
    "unknown-setting": _refused("unknown settings", "what they do to A and B is unknown to this version"),
    # other methods
    "multiplicative": _refused("methods that multiply", "the change depends on W, so no A and B express it"),
    "prompt": _refused(
        "prompt methods", "vectors in front of the prompt were trained, not weights", "train LoRA instead"
    ),
    "mixture": _refused(
        "mixtures of adapters", "which adapter acts is decided token by token", "build one of its adapters"
    ),
    "full-rank": _refused("additive methods of full rank", "A and B as exact as this are as large as W"),
    "not-folded": _refused(
        "additive methods that are not folded", "this version does not know how to make A and B of them"
    ),
    "no-projection": _refused(
        "VeRA without its projections",
        "A and B were left out of the file (save_projection=False) and exist only as a random seed of torch",
        "load it with PEFT, set save_projection = True in its configuration, and save it again",
    ),
    "unknown-method": _refused("unknown methods", "what its tensors mean is unknown to this version"),
    # damage
    "not-finite": _damaged(
        "NaN or infinity",
        "weights are NaN or infinite: the training diverged",
        "build an earlier checkpoint, from before the loss became NaN",
    ),
    "half": _damaged("A without B", "a factor is missing", _COPY),
    "shape": _damaged("shapes that disagree", "the factors do not fit each other", _COPY),
    "rank": _damaged("ranks that disagree with the configuration", "the rank is another", _COPY),
    "twice": _damaged("the same weight twice", "two tensors are the same weight", _COPY),
    "empty": _damaged("no tensors", "nothing was trained, or nothing was saved", _COPY),
    "noop": _damaged(
        "an adapter that does nothing",
        "ΔW is zero everywhere: its scale is 0, or one factor of every weight is",
        "--allow-noop, if that is meant; else build a later checkpoint",
    ),
}  # fmt: skip
"""Code → rule. A new reason is a row here, and a test that shows it."""


class RuleViolations:
    """What was found against an adapter, gathered to be told at once.

    Args:
        where: the file it was found in.
        instead: how its trainer merges an adapter into the base.
    """

    def __init__(self, where: object, instead: str = MERGE_HINT) -> None:
        self.where = where
        self._instead = instead
        self._found: dict[str, list[str]] = defaultdict(list)

    def add(self, code: str, *subjects: str) -> None:
        """Note tensors, modules or settings under a rule."""
        assert code in RULES, code
        self._found[code].extend(subjects)

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes of the rules that were found to hold, in the order of the table."""
        return tuple(code for code in RULES if code in self._found)

    def raise_if_any(self) -> None:
        """Go on if nothing was found.

        Raises:
            InputError: the adapter is damaged.
            UnsupportedError: it is not, but it cannot be expressed exactly.
        """
        for fate, kind in ((Severity.DAMAGED, InputError), (Severity.REFUSED, UnsupportedError)):
            codes = [code for code in self.codes if RULES[code].severity is fate]
            if codes:
                raise self._error(kind, fate, codes)

    def fatal(self, code: str, *subjects: str) -> PackError:
        """Note something that makes looking further pointless, and return what to raise."""
        self.add(code, *subjects)
        try:
            self.raise_if_any()
        except PackError as error:
            return error
        raise AssertionError("a rule always stops")

    def _error(self, kind: type[PackError], fate: Severity, codes: Iterable[str]) -> PackError:
        lines, hints = [fate.value], []
        for code in codes:
            rule = RULES[code]
            lines.append(f"  - {rule.feature}: {rule.reason}")
            lines += [f"      {line}" for line in _one_of_many(self._found[code])]
            way_out = rule.remedy.replace(MERGE_HINT, self._instead)
            if way_out not in hints:
                hints.append(way_out)
        return kind(
            "\n".join(lines),
            where=self.where,
            hint="\n       ".join(hints),
            subjects={RULES[code].feature: self._found[code] for code in codes},
        )


def _one_of_many(subjects: Iterable[str]) -> list[str]:
    lines = sorted(fold_numbered_names(subjects), key=natural_key)
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"… and {len(lines) - MOST_LINES} more; --json has them all"]
    return lines
