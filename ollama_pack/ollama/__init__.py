"""A client of Ollama: daemons, model stores, names and manifests. It knows nothing of adapters."""
