"""What ``inspect`` knows about a training run, and the HTML page that shows it."""
