"""JSON: that of strangers, read within bounds, and the form in which Go writes it."""
