"""The command line: turns arguments into values, values into text, and errors into exit codes."""

from ollama_pack.cli.app import main

__all__ = ["main"]
