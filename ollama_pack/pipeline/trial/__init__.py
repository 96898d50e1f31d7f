"""What `try` and `test` do: the model and its base answer, and answers are judged."""
