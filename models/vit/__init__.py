"""A small vision transformer, by backpropagation, to compare with: `python -m models.vit`."""
