"""What happens in a command, as events, and the views of them: terminal, JSON lines, annotations, files."""
