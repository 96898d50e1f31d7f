"""``python -m ollama_pack``."""

from ollama_pack.cli.app import main

if __name__ == "__main__":
    main()
