"""The base GGUF with the adapter baked in: what changes, in which type, and the file that is written."""
