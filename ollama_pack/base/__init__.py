"""The base model of an adapter: its sizes, and which Ollama model or GGUF file it is."""
