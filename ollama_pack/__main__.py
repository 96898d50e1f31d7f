"""``python -m ollama_pack``."""

from ollama_pack.cli import main

if __name__ == "__main__":
    main()
