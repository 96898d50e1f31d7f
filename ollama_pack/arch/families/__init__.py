"""One file for each family of models; each row describes one GGUF architecture."""
