"""Every kind of adapter, and what must become of it: the rows that docs/adapters.md prints.

The adapters and PEFT's logits are in ``tests/goldens/kinds``, one archive a model, made by
``tests/reference/record_kinds.py``.
"""

from dataclasses import dataclass, field, replace
from typing import Any

RIGHT, REFUSED, DAMAGED = "right", "refused", "damaged"


@dataclass(frozen=True)
class Kind:
    """One recorded adapter.

    Attributes:
        model: the base it was made for.
        case: its folder, and the name of its logits.
        feature: what people call what is special about it; several cases may share one.
        verdict: what must become of it.
        rule: the rule of `ollama_pack.lora.unsupported` that says so; empty if it is right or damaged.
        asked: fields of a `Request` beside the directory.
        inside: the directories of the adapters in the folder, where it is not the folder itself.
        merges: whether a merged model holds it although no GGUF LoRA file does.
        by_peft: whether PEFT itself merges it.
        resized: whether its vocabulary is not the base's; test_resized_logits.py has records of its own.
    """

    model: str
    case: str
    feature: str
    verdict: str = RIGHT
    rule: str = ""
    asked: dict[str, Any] = field(default_factory=dict)
    inside: tuple[str, ...] = (".",)
    folder: str = ""
    merges: bool = False
    by_peft: bool = False
    resized: bool = False


def right(model: str, feature: str, *cases: str) -> list[Kind]:
    return [Kind(model, case, feature) for case in cases]


def refused(model: str, feature: str, rule: str, *cases: str) -> list[Kind]:
    return [Kind(model, case, feature, REFUSED, rule) for case in cases]


def only_merged(model: str, feature: str, rule: str, *cases: str) -> list[Kind]:
    return [Kind(model, case, feature, REFUSED, rule, merges=True) for case in cases]


def merged_by_peft(model: str, feature: str, rule: str, *cases: str) -> list[Kind]:
    return [Kind(model, case, feature, REFUSED, rule, merges=True, by_peft=True) for case in cases]


def damaged(feature: str, rule: str, *cases: str) -> list[Kind]:
    return [Kind("llama", case, feature, DAMAGED, rule) for case in cases]


WEIGHTED = {"weights": (0.7, 0.3)}

KINDS: tuple[Kind, ...] = (
    *right("llama", "any rank and alpha", "plain", "alpha-rank"),
    *right("llama", "`use_rslora`", "rslora"),
    *right("llama", "`alpha_pattern`", "alpha-pattern"),
    *right("llama", "`rank_pattern`", "rank-pattern"),
    *right("llama", "both patterns, rsLoRA with patterns", "rank-and-alpha-pattern", "rslora-patterns"),
    *right(
        "llama", "`layers_to_transform`, `exclude_modules`, `all-linear`", "layers", "exclude", "all-linear"
    ),
    *right("llama", "inits that leave the base alone", "init-gaussian", "init-orthogonal", "init-false"),
    *right(
        "llama",
        "`add_weighted_adapter`: cat, svd, linear, negative weights",
        "weighted-cat",
        "weighted-svd",
        "weighted-linear",
        "weighted-negative-cat",
    ),
    Kind("llama", "second-adapter", "several adapters in one tree (`--adapter`)", asked={"adapter": "style"}),
    Kind(
        "llama",
        "second-adapter-default",
        "several adapters in one tree (`--adapter`)",
        folder="second-adapter",
    ),
    *right("llama", "`adapter_model.bin` (extra `torch`)", "bin"),
    *right("llama", "F16, BF16, mixed", "f16", "bf16", "mixed-dtypes"),
    *right(
        "llama",
        "other spellings of tensor names",
        "keys-no-prefix",
        "keys-default",
        "keys-base-layer",
        "keys-language-model",
        "keys-compiled",
        "keys-wrapped-twice",
        "keys-lightning",
        "keys-thinker",
        "keys-small-letters",
        "keys-kohya",
    ),
    *right("llama", "float64", "f64"),
    *right("llama", "the state of a whole model, with a value head", "whole-state"),
    *right("llama", "no `r`, no `lora_alpha`, notes in adapter_config.json", "defaults"),
    *right("llama", "a vision tower that was never trained", "vision-untrained"),
    *right("llama", "`fan_in_fan_out` on linear weights", "fan-in-fan-out"),
    *right(
        "gpt2",
        "GPT-2's Conv1D, loaded without its head too",
        "conv1d",
        "conv1d-attn-c-proj",
        "conv1d-automodel",
    ),
    *right("llama", "`target_parameters` on 2-D weights", "target-parameters-2d"),
    *right(
        "qwen3moe",
        "`target_parameters` on experts",
        "experts-down",
        "experts-gate-up",
        "experts-both",
        "experts-and-attention",
        "experts-rslora",
        "experts-old-names",
    ),
    *right("mixtral", "`target_parameters` on experts", "experts-mixtral"),
    *right("gptoss", "`target_parameters` on experts", "experts-gptoss"),
    *right("gptoss", "attention beside experts, routers", "attention-gptoss"),
    *right("qwen3moe", "attention beside experts, routers", "router"),
    *right(
        "qwen3moe",
        "one LoRA an expert: all, some, of different ranks",
        "per-expert",
        "per-expert-partial",
        "per-expert-mixed-ranks",
    ),
    *right("mixtral", "one LoRA an expert: all, some, of different ranks", "per-expert-mixtral"),
    *right("llama", "`lm_head`, `embed_tokens` of an untied base", "head-and-embedding", "embedding-only"),
    *right("llama", "`bias` set, no biases in the base", "bias-all-without-biases"),
    *right("llama", "trained on a base in 4 bits", "qlora-config"),
    *right("llama", "aLoRA", "alora"),
    *right("llama", "AdaLoRA, pruned too", "adalora", "adalora-pruned"),
    *right("llama", "VeRA", "vera"),
    *right("llama", "LoHa", "loha", "loha-patterns"),
    *right("llama", "LoKr of low rank", "lokr", "lokr-both"),
    *right("llama", "MiSS, MiSS-mini, Bone", "miss", "miss-remainder", "miss-mini", "bone"),
    *right("llama", "VB-LoRA, with all logits or the best alone", "vblora", "vblora-topk-only"),
    *right("llama", "DeLoRA", "delora"),
    *right("llama", "GraLoRA, hybrid too", "gralora", "gralora-hybrid"),
    *right("llama", "FourierFT of few frequencies", "fourierft"),
    *right("llama", "TinyLoRA", "tinylora", "tinylora-tied"),
    *right("llama", "BD-LoRA", "bdlora"),
    *right("llama", "QALoRA, pooled or not", "qalora", "qalora-pooled"),
    *right("phimini", "Phi 3 with q, k, v and gate, up apart (Unsloth)", "split", "split-partly"),
    *right("llama", "MLX", "mlx"),
    *right("llama", "torchtune", "torchtune"),
    *right("deepseek2", "DeepSeek: what llama.cpp applies", "deepseek-right"),
    Kind("llama", "sum", "several into one (`--weight`)", asked=WEIGHTED, inside=("a", "b")),
    *(
        Kind(
            "llama",
            case,
            "PiSSA, OLoRA, less what they began with (`--weight 1 --weight -1`)",
            asked={"weights": (1.0, -1.0)},
            inside=("trained", "start"),
        )
        for case in ("pissa-less-start", "olora-less-start")
    ),
    Kind("llama", "scaled", "`--scale`", asked={"scale": 0.25}),
    *right(
        "smollm2",
        "SmolLM2-135M: LoRA, rsLoRA, patterns",
        "smollm2-plain",
        "smollm2-linear",
        "smollm2-rslora",
        "smollm2-patterns",
    ),
    *right(
        "smollm2",
        "SmolLM2-135M: AdaLoRA, VeRA, LoHa, LoKr",
        "smollm2-adalora",
        "smollm2-vera",
        "smollm2-loha",
        "smollm2-lokr",
    ),
    Kind("smollm2", "smollm2-sum", "SmolLM2-135M: several into one", asked=WEIGHTED, inside=("a", "b")),
    *only_merged("llama", "DoRA", "dora", "dora"),
    *refused("llama", "`lora_bias`, no biases in the base", "lora-bias", "lora-bias"),
    *only_merged("qwen2", "`lora_bias`", "lora-bias", "lora-bias-on-biases"),
    *only_merged("qwen2", "trained biases", "bias", "bias-all", "bias-lora-only"),
    *only_merged("llama", "`modules_to_save`: norms", "norm", "save-norm"),
    *only_merged(
        "llama", "`modules_to_save`: head, embeddings", "whole-embedding", "save-head", "save-embedding"
    ),
    *only_merged(
        "llama-tied",
        "`modules_to_save`: head, embeddings",
        "whole-embedding",
        "save-head-tied",
        "save-embedding-tied",
    ),
    *only_merged("llama-tied", "trainable tokens", "trained-tokens", "trainable-tokens-tied"),
    *only_merged("llama", "`modules_to_save`: linear weights", "whole-weight", "save-linear"),
    *only_merged("llama", "trainable tokens", "trained-tokens", "trainable-tokens", "tokens-alone"),
    replace(*only_merged("llama", "resized vocabulary", "resized", "resized"), resized=True),
    *only_merged(
        "llama-tied",
        "LoRA on `lm_head` or `embed_tokens` of a tied base",
        "tied",
        "head-tied",
        "embedding-tied",
    ),
    *refused(
        "llama",
        "PiSSA, OLoRA, CorDA, LoRA-GA, saved as trained",
        "altered-base",
        "pissa",
        "olora",
        "corda",
        "lora-ga",
    ),
    *refused("llama", "LoftQ, saved as trained", "quantised-base", "loftq"),
    *merged_by_peft(
        "llama",
        "IA3, OFT, BOFT, HRA, HiRA, MiSS with `bat`",
        "multiplicative",
        *("miss-bat", "ia3", "oft", "oft-norms", "boft", "hra", "hira", "hira-embedding"),
    ),
    *merged_by_peft("qwen2", "RoAd, GLoRA, IA3 on biases", "multiplicative", "ia3-biases", "road", "glora"),
    *merged_by_peft("gpt2", "IA3, OFT, BOFT, HRA, HiRA, MiSS with `bat`", "multiplicative", "ia3-conv1d"),
    *merged_by_peft("phimini", "IA3, OFT, BOFT, HRA, HiRA, MiSS with `bat`", "multiplicative", "oft-joined"),
    *merged_by_peft("qwen2", "BEFT", "bias", "beft"),
    *only_merged("llama", "LN tuning", "norm", "ln-tuning"),
    *refused(
        "llama",
        "prompt tuning, P-tuning, prefix tuning",
        "prompt",
        "prompt-tuning",
        "p-tuning",
        "prefix-tuning",
    ),
    *merged_by_peft(
        "llama",
        "RandLoRA, C3A, SHiRA, WaveFT, OSF, LoKr of full rank, FourierFT of many frequencies",
        "full-rank",
        *("lokr-full", "randlora", "randlora-no-projection", "fourierft-full"),
        *("c3a", "shira", "waveft", "osf"),
    ),
    *merged_by_peft("llama", "PSOFT", "as-lora", "psoft"),
    *merged_by_peft(
        "llama", "PVeRA, PEANuT, SuperTuning, DEFT", "not-folded", "pvera", "peanut", "supertuning", "deft"
    ),
    *merged_by_peft(
        "llama",
        "VeRA, TinyLoRA without their projections",
        "no-projection",
        "vera-no-projection",
        "tinylora-no-projection",
    ),
    *only_merged("llama", "`layer_replication`", "replication", "layer-replication"),
    *refused("llama", "LoRA on a vision tower", "vision", "vision"),
    *refused("deepseek2", "weights that llama.cpp loads and ignores", "ignored", "ignored"),
    *damaged("NaN or infinity", "not-finite", "nan", "inf"),
    *damaged("A without B", "half", "a-without-b"),
    *damaged("shapes that do not match each other or the base", "", "wrong-shape"),
    *damaged("ranks that do not match the configuration", "rank", "other-rank"),
    *damaged("truncated or empty", "", "truncated"),
    *damaged("truncated or empty", "empty", "empty-443"),
    *damaged("`lora_alpha` 0, or every B zero", "noop", "alpha-zero", "zero-b"),
    *damaged("the same weight twice", "twice", "twice"),
)
