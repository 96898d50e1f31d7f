"""The prompts of a model: as they were trained, as Ollama sends them, and which way makes both the same."""
