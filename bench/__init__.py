"""What is asked and reported: `python -m bench.run`, `python -m bench.speed`."""
