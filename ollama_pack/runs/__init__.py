"""A training run on disk: what each file is for, its checkpoints and its log. No pickle is opened."""
