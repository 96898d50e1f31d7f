"""The Hugging Face Hub, as the extra ``hub`` of this package: adapters from it, and releases to it."""
