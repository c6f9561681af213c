"""The zoo's networks as a user chooses among them: `python -m bench.zoo`."""
