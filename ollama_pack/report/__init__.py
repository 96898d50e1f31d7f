"""The report on a training run that ``inspect`` prints, and the HTML page of it."""
