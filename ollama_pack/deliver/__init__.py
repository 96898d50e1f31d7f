"""The deliveries: each takes a package, registers or writes the model, and returns a receipt."""
