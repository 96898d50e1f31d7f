"""Runs models in llama.cpp, in a separate process that may abort, take too long, or be ended."""
