"""The use cases: build, plan, convert and register, from an adapter directory to a model in Ollama."""
