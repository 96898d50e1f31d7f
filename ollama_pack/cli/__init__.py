"""The command line: parses arguments, calls the library, prints results, and turns errors into exit codes."""

from ollama_pack.cli.app import main

__all__ = ["main"]
