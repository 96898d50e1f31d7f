"""A training run on disk: the role of each file, its checkpoints, its log. No pickle is ever loaded."""
