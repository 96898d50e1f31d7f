"""GGUF files: `read` the header of any, `write` a LoRA, with `cast` and the format's numbers in `layout`."""
