"""A client of Ollama: daemons, model stores, model names and manifests. It knows nothing about PEFT."""
