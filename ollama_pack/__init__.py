"""Turn a PEFT LoRA adapter into a model that runs in Ollama, exactly as it was trained."""

__version__ = "0.1.0"
