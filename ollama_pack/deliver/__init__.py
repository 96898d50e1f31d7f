"""Delivery: a package goes in, a model is registered or written, and a receipt comes out."""
