"""The command line: turns words into values, values into words, and errors into exit codes."""
