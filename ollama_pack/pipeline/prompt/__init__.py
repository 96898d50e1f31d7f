"""The prompts of a model: as they were trained, as Ollama sends them, and what makes both the same."""
