"""Merged models: the plan of the merged file, its quantisation, and how it behaves."""
