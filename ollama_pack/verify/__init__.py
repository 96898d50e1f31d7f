"""Proofs that the written model is the trained one. There is one file for each proof."""
