"""The table of architectures: which Hugging Face module becomes which GGUF tensor, in which row order."""
