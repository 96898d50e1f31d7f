"""Releases: made with their proofs and papers, pushed, pulled, and required of by a policy."""
