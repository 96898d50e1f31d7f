"""HTTP: the bounds of every exchange, what is fetched from the web, addresses and tokens."""
