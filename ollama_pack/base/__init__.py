"""The base model: where its sizes come from, and which Ollama model or GGUF file it is."""
