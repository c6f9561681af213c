"""The trained network: layers in a chain, joined by links, with a readout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.links import ConvLink, DenseLink, Link, Shape, with_tensors
from models.pooling import PoolKind


@dataclass(frozen=True)
class EPNetwork:
    """An energy-based network with states in [0, 1].

        E(s; x) = 1/2 sum_l |s_l|^2 - sum_l Phi_l(s_{l-1}, s_l),   s_0 = x clamped,   l = 1..L

    `readout` is a linear map of s_L to class scores outside the dynamics (softmax, cross-entropy), or None: then s_L is
    itself the output, one unit per class, and the cost is the squared error inside the dynamics.
    """

    links: tuple[Link, ...]
    readout: DenseLink | None = None

    def __post_init__(self) -> None:
        if not self.links:
            raise ValueError("a network needs at least one link")
        for index, (lower, upper) in enumerate(zip(self.links, self.links[1:], strict=False), start=1):
            if lower.above != upper.below:
                raise ValueError(f"layer {index} is {lower.above} for the link below, {upper.below} for the link above")
        if self.readout is not None and self.readout.below != self.links[-1].above:
            raise ValueError(f"the readout reads {self.readout.below}, the last layer is {self.links[-1].above}")
        if self.readout is None and len(self.links[-1].above) != 1:
            raise ValueError(
                f"without a readout the last layer must be flat, one unit per class: {self.links[-1].above}"
            )

    @property
    def input_shape(self) -> Shape:
        """(C, H, W) of one image."""
        return self.links[0].below

    @property
    def layers(self) -> tuple[Shape, ...]:
        """Shape of every computed layer, s_1 to s_L."""
        return tuple(link.above for link in self.links)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return (self.links[-1] if self.readout is None else self.readout).above[0]

    def logits(self, last: Tensor) -> Tensor:
        """Class scores (B, classes) of the last layer's states (B, *shape_L)."""
        return last if self.readout is None else self.readout.up(last)[0] + self.readout.bias

    def named_parameters(self) -> dict[str, Tensor]:
        """Every trained tensor by name: link1.weight, link1.bias, ..., readout.weight, readout.bias."""
        named = {}
        for name, link in self._named_links():
            named[f"{name}.weight"], named[f"{name}.bias"] = link.weight, link.bias
        return named

    def map_parameters(self, change: Callable[[Tensor], Tensor]) -> EPNetwork:
        """The same network with every tensor changed, e.g. to another dtype or device."""
        return self.with_parameters({name: change(tensor) for name, tensor in self.named_parameters().items()})

    def with_parameters(self, named: dict[str, Tensor]) -> EPNetwork:
        """The same wiring with these tensors; the names are those of `named_parameters`."""
        changed = {
            name: with_tensors(link, named[f"{name}.weight"], named[f"{name}.bias"])
            for name, link in self._named_links()
        }
        readout = changed.pop("readout", None)
        assert readout is None or isinstance(readout, DenseLink)
        return replace(self, links=tuple(changed.values()), readout=readout)

    def check_images(self, images: Tensor) -> None:
        """Refuse a batch this network cannot read: wrong shape, NaN, outside [0, 1]."""
        if images.shape[1:] != self.input_shape:
            raise ValueError(f"images are {tuple(images.shape[1:])}, the network reads {self.input_shape}")
        if not len(images):
            raise ValueError("no images: the batch is empty")
        low, high = float(images.min()), float(images.max())
        if not (low >= 0.0 and high <= 1.0):  # false for NaN too
            raise ValueError(f"images must lie in [0, 1] without NaN, found {low:g} to {high:g}")

    def _named_links(self) -> list[tuple[str, Link]]:
        named: list[tuple[str, Link]] = [(f"link{index}", link) for index, link in enumerate(self.links, start=1)]
        return named if self.readout is None else [*named, ("readout", self.readout)]


@dataclass(frozen=True)
class Conv:
    """Recipe of one convolutional layer."""

    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pooling: PoolKind = "none"
    pool_size: int = 1
    gain: float = 0.5


@dataclass(frozen=True)
class Dense:
    """Recipe of one dense layer."""

    units: int
    gain: float = 0.5


def build_network(
    input_shape: Shape, layers: tuple[Conv | Dense, ...], classes: int | None, generator: torch.Generator
) -> EPNetwork:
    """Draw a fresh network: W ~ U(-1, 1) * gain * sqrt(3 / fan_in), b = 0.

    The gain sets how fast the network settles (small gains contract; Scellier 2023 uses 0.3 to 0.8). With `classes` a
    softmax readout of that many classes is put on top; with None the last layer is the output of squared error.
    """
    links: list[Link] = []
    below = input_shape
    for layer in layers:
        if isinstance(layer, Conv):
            weight = _draw((layer.channels, below[0], layer.kernel, layer.kernel), layer.gain, generator)
            bias = torch.zeros(layer.channels)
            links.append(ConvLink(weight, bias, below, layer.stride, layer.padding, layer.pooling, layer.pool_size))
        else:
            weight = _draw((layer.units, torch.Size(below).numel()), layer.gain, generator)
            links.append(DenseLink(weight, torch.zeros(layer.units), below))
        below = links[-1].above
    if classes is None:
        return EPNetwork(tuple(links))
    readout = DenseLink(_draw((classes, torch.Size(below).numel()), 1.0, generator), torch.zeros(classes), below)
    return EPNetwork(tuple(links), readout)


def _draw(shape: tuple[int, ...], gain: float, generator: torch.Generator) -> Tensor:
    fan_in = torch.Size(shape[1:]).numel()
    return (2 * torch.rand(shape, generator=generator) - 1) * gain * (3 / fan_in) ** 0.5
