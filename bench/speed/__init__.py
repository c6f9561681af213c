"""How fast: `python -m bench.speed NAME`."""
