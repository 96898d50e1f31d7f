"""The papers of a release: its record, and the documents that are made of the record alone."""
