"""The GGUF format: constants, reader, writer, number types, and tensors that lie in files."""
