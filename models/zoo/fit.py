"""Whether a network can be shown a data set."""

from __future__ import annotations

from pathlib import Path

from models.data import form_of
from models.zoo import load_model


def check_fit(model: str, data: str | Path) -> None:
    """Refuse a data set that a network was not made for; of published data sets nothing is read.

    Args:
        model: a network of the zoo, or a .safetensors file.
        data: a name or path as for `models.data.load_data`.

    Raises:
        ValueError: the images have another shape, or there is another number of classes; the message names both.
        CheckpointError: the file of the network is missing, damaged or foreign.
    """
    network, (shape, classes) = load_model(model), form_of(data)
    if network.input_shape != shape:
        raise ValueError(f"model {model!r} reads images of {network.input_shape}, those of {data} are {shape}")
    if network.classes != classes:
        raise ValueError(f"model {model!r} tells {network.classes} classes apart, {data} has {classes}")
