"""Gemma 1 to 4: no row order is needed, and the head is tied to the embedding."""

from ollama_pack.arch.blocks import (
    EMBEDDING,
    HEAD,
    LAYER,
    attention,
    gated_decoder,
    gated_mlp,
    router,
    without_head_sizes,
)
from ollama_pack.arch.spec import NOT_APPLIED, Arch, Kind, Weight

GEMMA = Arch(name="gemma", hf_classes=("GemmaForCausalLM",), weights=gated_decoder(), tied=True)
GEMMA2 = Arch(name="gemma2", hf_classes=("Gemma2ForCausalLM",), weights=gated_decoder(), tied=True)
GEMMA3 = Arch(
    name="gemma3",
    hf_classes=("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
    weights=gated_decoder(),
    tied=True,
)

# The per-layer embeddings of Gemma 3n and 4: every layer has an extra input for each token.
_PER_LAYER = (
    Weight(f"{LAYER}.per_layer_input_gate", "blk.{i}.inp_gate", None, ("unknown", "hidden")),
    Weight(f"{LAYER}.per_layer_projection", "blk.{i}.proj", None, ("hidden", "unknown")),
    Weight(
        "model.per_layer_model_projection",
        "per_layer_model_proj",
        None,
        ("unknown", "hidden"),
        unsupported=NOT_APPLIED,
    ),
)


def _altup(name: str, tensor: str, unsupported: str = "") -> Weight:
    """Return a weight of AltUp or Laurel, the extra paths of Gemma 3n; the base does not tell its shape."""
    shape: tuple[str, str] = ("unknown", "unknown")
    return Weight(f"{LAYER}.{name}", f"blk.{{i}}.{tensor}", None, shape, unsupported=unsupported)


GEMMA3N = Arch(
    name="gemma3n",
    hf_classes=("Gemma3nForCausalLM", "Gemma3nForConditionalGeneration"),
    tied=True,
    weights=(
        *gated_decoder(),
        *_PER_LAYER,
        _altup("laurel.linear_left", "laurel_l"),
        _altup("laurel.linear_right", "laurel_r"),
        _altup("altup.prediction_coefs", "altup_predict_coef"),
        _altup("altup.correction_coefs", "altup_correct_coef"),
        _altup("altup.modality_router", "altup_router", NOT_APPLIED),
    ),
)
_INTO, _BACK = ("unknown", "hidden"), ("hidden", "unknown")
GEMMA4 = Arch(
    name="gemma4",
    hf_classes=("Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"),
    tied=True,
    weights=(
        *without_head_sizes(attention()),
        *gated_mlp(f"{LAYER}.mlp", size="unknown"),
        router(f"{LAYER}.router.proj"),
        Weight(f"{LAYER}.experts.gate_up_proj", "blk.{i}.ffn_gate_up_exps", None, _INTO, kind=Kind.EXPERTS),
        Weight(
            f"{LAYER}.experts.down_proj",
            "blk.{i}.ffn_down_exps",
            None,
            _BACK,
            kind=Kind.EXPERTS,
            unsupported="scaled-beside",
        ),
        *_PER_LAYER,
        HEAD,
        EMBEDDING,
    ),
)
