"""The data sets: digits (embedded), MNIST, CIFAR-10 and CIFAR-100, and your own, cut into train, validation and test.

`load_data(name_or_path)` is the way in, `dataset_of(images, labels)` that of arrays. The validation split is for
choosing a model; the test split is for the final figure.
"""

from models.data.load import DATASETS, check_data, data_sha256, form_of, load_data
from models.data.own import dataset_of
from models.data.sets import Dataset, ImageSet

__all__ = ["DATASETS", "Dataset", "ImageSet", "check_data", "data_sha256", "dataset_of", "form_of", "load_data"]
