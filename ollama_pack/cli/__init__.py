"""The command line: parses arguments, calls the library, prints results, and turns errors into exit codes."""
