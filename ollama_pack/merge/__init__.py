"""The base GGUF with the adapter merged into it: which tensors change, in which types, and the file."""
