"""Jobs that several cores do, with their results in order."""
