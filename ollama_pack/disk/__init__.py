"""The disk: files that appear whole or not at all, locks, digests that one command remembers, TOML files."""
