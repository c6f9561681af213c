"""Training by equilibrium propagation: `python -m models.train RECIPE`."""
