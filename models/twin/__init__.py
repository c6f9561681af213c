"""The feed-forward twin of a recipe, trained by backpropagation: `python -m models.twin RECIPE`."""
