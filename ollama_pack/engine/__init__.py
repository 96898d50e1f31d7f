"""Runs models in llama.cpp, in a process of its own that may abort, take too long, or be ended."""
