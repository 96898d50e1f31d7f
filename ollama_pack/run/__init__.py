"""A training run on disk: the role of each file, its checkpoints and its log. No pickle is opened."""
