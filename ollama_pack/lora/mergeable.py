"""Which rules are about GGUF LoRA files alone, so that a merged model breaks none of them."""

from ollama_pack.lora.unsupported import RuleViolations

MERGEABLE = frozenset(
    {
        *("dora", "lora-bias", "bias", "norm", "whole-weight", "whole-embedding", "resized"),
        *("trained-tokens", "replication"),
    }
)
"""The rules whose tensors a merged model holds (`ollama_pack.lora.beside`)."""


MERGED_BY_PEFT = frozenset({"multiplicative", "full-rank", "as-lora", "not-folded", "no-projection"})
"""The rules whose adapters PEFT itself merges, weight by weight."""


class MergeViolations(RuleViolations):
    """The violations of an adapter that will be merged; what a merged model can hold is not a violation."""

    def add(self, code: str, *subjects: str) -> None:
        """Record what violates a rule, unless the rule is about GGUF LoRA files alone."""
        if code not in MERGEABLE:
            super().add(code, *subjects)
