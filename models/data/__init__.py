"""The data sets: digits (embedded), MNIST, CIFAR-10 and CIFAR-100, each cut into train, validation and test.

`load_data(name)` is the way in. The validation split is for choosing a model; the test split is for the final figure.
"""

from models.data.load import DATASETS, load_data
from models.data.sets import Dataset, ImageSet

__all__ = ["DATASETS", "Dataset", "ImageSet", "load_data"]
