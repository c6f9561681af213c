"""The trained network: layers in a chain, joined by links, with a readout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import torch
from torch import Tensor

from models.ep.links import ConvLink, DenseLink, Link, Shape, pools_by_maxima, with_tensors
from models.ep.pooling import PoolKind

MOST_SIZE, MOST_GAIN = 2**20, 1e6
"""Of what is drawn: what is beyond is a slip of the pen."""
MOST_WEIGHTS = 2**31 - 1
"""Of one link, 8 GiB."""


@dataclass(frozen=True)
class Skip:
    """A residual link: joins layer `source` to layer `target`, past the layers between (Hopfield-ResNet style).

    It spans 3, 5, ... layers, so that odd layers still meet even ones only: odd-even sweeps stay exact, and their
    energy falls. It has no bias, the target's own link has one, and takes no maximum.
    """

    source: int
    """From 1."""
    target: int
    link: Link


@dataclass(frozen=True)
class EPNetwork:
    """An energy-based network with states in [0, 1].

        E(s; x) = 1/2 sum_l |s_l|^2 - sum_l Phi_l(s_{l-1}, s_l),   s_0 = x clamped,   l = 1..L

    `readout` is a linear map of s_L to class scores outside the dynamics (softmax, cross-entropy), or None: then s_L is
    itself the output, one unit per class, and the cost is the squared error inside the dynamics. Every skip adds the
    Phi of its link, between the two layers it joins, to the sum.

    Without `feedback` nothing goes down a link: a feed-forward network of the same wiring, at rest after as many steps
    as it has layers. It has no energy, and equilibrium propagation does not train it.
    """

    links: tuple[Link, ...]
    readout: DenseLink | None = None
    skips: tuple[Skip, ...] = ()
    feedback: bool = True

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
        for number, skip in enumerate(self.skips, start=1):
            _check_skip(f"skip{number}", skip, self.layers)

    def __repr__(self) -> str:
        count = sum(tensor.numel() for tensor in self.named_parameters().values())
        kind = "" if self.feedback else ", without feedback"
        lines = [f"EPNetwork of {self.input_shape} images, {self.classes} classes, {count:,} parameters{kind}"]
        lines += [f"  {name}: {link!r}" for name, link in self._named_links()]
        lines += [f"  skip{number}: {skip.link!r}" for number, skip in enumerate(self.skips, start=1)]
        return "\n".join(lines)

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
        """Every trained tensor by name: link1.weight, link1.bias, ..., readout.weight, readout.bias, skip1.weight."""
        named = {}
        for name, link in self._named_links():
            named[f"{name}.weight"], named[f"{name}.bias"] = link.weight, link.bias
        return named | {f"skip{number}.weight": skip.link.weight for number, skip in enumerate(self.skips, start=1)}

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
        skips = []
        for number, skip in enumerate(self.skips, start=1):
            weight = named[f"skip{number}.weight"]
            skips.append(replace(skip, link=with_tensors(skip.link, weight, weight.new_zeros(len(weight)))))
        return replace(self, links=tuple(changed.values()), readout=readout, skips=tuple(skips))

    def check_feedback(self, why: str) -> None:
        """Refuse a network without feedback; `why` says what asks for it."""
        if not self.feedback:
            raise ValueError(f"the network has no feedback: {why}")

    def skips_into(self, layer: int) -> tuple[Skip, ...]:
        """The residual links that arrive at a layer, from 1."""
        return tuple(skip for skip in self.skips if skip.target == layer)

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
    kind: Literal["conv"] = "conv"

    def __post_init__(self) -> None:
        check_drawn(self, channels=1, kernel=1, stride=1, padding=0, pool_size=1)


@dataclass(frozen=True)
class Dense:
    """Recipe of one dense layer."""

    units: int
    gain: float = 0.5
    kind: Literal["dense"] = "dense"

    def __post_init__(self) -> None:
        check_drawn(self, units=1)


@dataclass(frozen=True)
class Span:
    """Recipe of one residual link, a convolution from layer `source` to layer `target`."""

    source: int
    target: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    gain: float = 0.5

    def __post_init__(self) -> None:
        check_drawn(self, source=1, target=1, kernel=1, stride=1, padding=0)


def check_drawn(recipe: Conv | Dense | Span, **least: int) -> None:
    """Refuse the recipe of a link with a size below its least or above `MOST_SIZE`, or a gain that is no number."""
    for name, low in least.items():
        if not low <= getattr(recipe, name) <= MOST_SIZE:
            raise ValueError(f"{name} is {getattr(recipe, name)}, expected {low} to {MOST_SIZE}")
    if not 0 <= recipe.gain <= MOST_GAIN:
        raise ValueError(f"gain is {recipe.gain}, expected 0 to {MOST_GAIN:g}")


def build_network(
    input_shape: Shape,
    layers: tuple[Conv | Dense, ...],
    classes: int | None,
    generator: torch.Generator,
    spans: tuple[Span, ...] = (),
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
    readout = None
    if classes is not None:
        readout = DenseLink(_draw((classes, torch.Size(below).numel()), 1.0, generator), torch.zeros(classes), below)
    shapes = [link.above for link in links]
    skips = tuple(_drawn_skip(span, shapes, generator) for span in spans)
    return EPNetwork(tuple(links), readout, skips)


def _drawn_skip(span: Span, shapes: list[Shape], generator: torch.Generator) -> Skip:
    for end in (span.source, span.target):
        if not 1 <= end <= len(shapes) or len(shapes[end - 1]) != 3:
            raise ValueError(f"a skip ends at layer {end}, expected a convolutional one of 1 to {len(shapes)}")
    below, above = shapes[span.source - 1], shapes[span.target - 1]
    weight = _draw((above[0], below[0], span.kernel, span.kernel), span.gain, generator)
    return Skip(span.source, span.target, ConvLink(weight, torch.zeros(above[0]), below, span.stride, span.padding))


def _check_skip(name: str, skip: Skip, layers: tuple[Shape, ...]) -> None:
    span = skip.target - skip.source
    if not 1 <= skip.source < skip.target <= len(layers) or span < 3 or span % 2 == 0:
        raise ValueError(
            f"{name} goes from layer {skip.source} to {skip.target} of {len(layers)}, expected to span 3, 5, ... layers"
        )
    for end, shape in ((skip.source, skip.link.below), (skip.target, skip.link.above)):
        if layers[end - 1] != shape:
            raise ValueError(f"{name} makes layer {end} {shape}, it is {layers[end - 1]}")
    if pools_by_maxima(skip.link):
        raise ValueError(f"{name} pools by max, expected none or average")
    # a network of shapes alone has no numbers; one on a GPU was made on the CPU, and training would wait for the look
    if skip.link.bias.is_cpu and bool(skip.link.bias.any()):
        raise ValueError(f"{name} has a bias, expected none: layer {skip.target} has its own")


def _draw(shape: tuple[int, ...], gain: float, generator: torch.Generator) -> Tensor:
    if prod(shape) > MOST_WEIGHTS:
        raise ValueError(f"a link with weights {shape} has {prod(shape):,}, more than {MOST_WEIGHTS:,}")
    fan_in = torch.Size(shape[1:]).numel()
    return (2 * torch.rand(shape, generator=generator) - 1) * gain * (3 / fan_in) ** 0.5
