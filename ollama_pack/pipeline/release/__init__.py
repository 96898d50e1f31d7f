"""Releases: making them with proofs and papers, pushing and pulling them, and checking them by a policy."""
