"""A client of OCI registries: the place of a release, the login, its blobs, and their manifest."""
