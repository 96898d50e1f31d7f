"""READ the base model: from the catalog, a GGUF file, a configuration, a store or a daemon."""
