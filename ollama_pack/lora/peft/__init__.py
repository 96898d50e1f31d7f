"""Reads the adapters that PEFT, mlx-lm and torchtune write."""
