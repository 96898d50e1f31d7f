"""The checks of ``doctor``: which deliveries this Ollama accepts, and which models would not run."""
