"""JSON: documents of strangers, read within bounds, and the form in which Go writes JSON."""
