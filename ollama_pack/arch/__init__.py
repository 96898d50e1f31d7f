"""What llama.cpp makes of each architecture: which module becomes which tensor, and in which row order."""
