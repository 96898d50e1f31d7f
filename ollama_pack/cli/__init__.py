"""The command line: turns words into values, values into words, and errors into exit codes."""

from ollama_pack.cli.group import main

__all__ = ["main"]
