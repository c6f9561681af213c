"""Recipes: how networks are built and trained, each a file NAME.toml in this folder.

recipe = recipe_for("hw-cifar10-small")
"""

from models.recipes.recipe import Recipe
from models.recipes.recipe_file import read_recipe, recipe_for, recipe_names

__all__ = ["Recipe", "read_recipe", "recipe_for", "recipe_names"]
