"""LOOK  An Ollama → what it can take, and what is wrong with it."""
