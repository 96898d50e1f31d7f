"""The report of a training run: one page that is looked at instead of read."""
