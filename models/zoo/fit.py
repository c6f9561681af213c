"""Whether a network can be shown a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

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
    check_form(model, load_model(model), str(data), form_of(data))


class Reader(Protocol):
    """A network of any kind."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image that it reads."""
        ...

    @property
    def classes(self) -> int:
        """How many it tells apart."""
        ...


def check_form(model: str, network: Reader, data: str, form: tuple[tuple[int, ...], int]) -> None:
    """The same of a network and a data set that are loaded, by their names; `form` is (shape of an image, classes)."""
    shape, classes = form
    if network.input_shape != shape:
        raise ValueError(f"model {model!r} reads images of {network.input_shape}, those of {data} are {shape}")
    if network.classes != classes:
        raise ValueError(f"model {model!r} tells {network.classes} classes apart, {data} has {classes}")
