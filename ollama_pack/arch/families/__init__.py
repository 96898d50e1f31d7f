"""The rows of the architecture table: one file for each family of models, one `Arch` for each GGUF name."""
