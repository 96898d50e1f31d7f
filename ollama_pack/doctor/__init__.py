"""What ``doctor`` knows about an Ollama: which deliveries work, and which models would not run."""
