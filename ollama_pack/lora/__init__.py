"""A LoRA adapter, from the values that were trained to the plan of a GGUF LoRA file."""
