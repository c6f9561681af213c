"""What a machine is given to run: wires, neurons, numbers and the places they sit at.

A circuit is plain numpy, so that it can be sent to another process; machines translate it, `mapping` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Wire:
    """One link: who is connected to whom, and how strongly.

    kind "conv": weight (C_above, C_below, kh, kw), cross-correlation with stride and zero padding, then pooling over
    pool_size x pool_size windows ("sum" adds them up, "max" keeps the largest). kind "dense": weight (above, below).
    """

    kind: Literal["conv", "dense"]
    weight: NDArray[np.generic]
    below: Shape
    above: Shape
    stride: int = 1
    padding: int = 0
    pooling: Literal["none", "sum", "max"] = "none"
    pool_size: int = 1
    up_shift: int = 0
    """Left shift of what this wire sends up, onto the binary point of the accumulators above (integers only)."""
    down_shift: int = 0
    """The same for what it sends down."""

    def __repr__(self) -> str:
        geometry = ""
        if self.kind == "conv":
            rows, columns = self.weight.shape[2:]
            pooled = f", {self.pooling} of {self.pool_size} x {self.pool_size}" if self.pool_size > 1 else ""
            geometry = f" {rows} x {columns}, stride {self.stride}, padding {self.padding}{pooled}"
        return f"{self.kind}{geometry}: {self.below} to {self.above}"

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one pass in one direction as a clocked processor does it, padding included.

        A sum over pooling windows is folded into the kernel: an edge grows by stride * (pool_size - 1).
        """
        if self.kind == "dense":
            return self.weight.size
        above, below, *kernel = self.weight.shape
        if self.pooling == "max":
            places = [
                (size + 2 * self.padding - edge) // self.stride + 1
                for size, edge in zip(self.below[1:], kernel, strict=True)
            ]
        else:
            places = list(self.above[1:])
            kernel = [edge + self.stride * (self.pool_size - 1) for edge in kernel]
        return int(above * below * np.prod(kernel) * np.prod(places))


@dataclass(frozen=True)
class FloatNeuron:
    """s = clip(drive + b, 0, 1) in floating point."""

    one = 1


@dataclass(frozen=True)
class FixedNeuron:
    """s = clip((drive + b) >> exponent, 0, 2**state_bits - 1) in integers; the bias carries the half for rounding."""

    state_bits: int
    exponents: tuple[int, ...]
    """Binary point of the accumulators of every computed layer."""

    @property
    def one(self) -> int:
        """The code of state 1.0."""
        return int(2**self.state_bits - 1)


@dataclass(frozen=True)
class LayerCores:
    """A layer on the cores of a neuromorphic chip."""

    cores: int
    """How many it takes."""
    first: int = 0
    """Number of its first core."""
    busiest: float = 1.0
    """Units on the fullest of them over those on a mean one."""
    full: Mapping[str, float] = field(default_factory=dict)
    """Share of each limit of a core that the fullest takes: units, bytes, axons_in, axons_out."""


@dataclass(frozen=True)
class Circuit:
    """Layers 0 (the input) to L in a chain, wire l joining layer l - 1 to layer l."""

    wires: tuple[Wire, ...]
    biases: tuple[NDArray[np.generic], ...]
    """Of every computed layer, broadcastable to its states: (C, 1, 1) or (units,)."""
    neuron: FloatNeuron | FixedNeuron
    readout: Wire | None
    """Linear map of the last layer to class scores outside the dynamics; None: the last layer is the output."""
    readout_bias: NDArray[np.generic]
    logit_scale: float
    """Class scores in units of the trained network = readout value * logit_scale."""
    traffic: tuple[NDArray[np.float64], ...]
    """Of layers 0..L, (units, len(hw.events.messages.COLUMNS)): what one message of each unit causes."""
    placed: tuple[LayerCores, ...]
    """Of layers 0..L, the cores of `chip` that they sit on."""
    chip: str = "loihi1"
    """The neuromorphic chip that messages and hops are counted for."""
    feedback: bool = True
    """Whether states go down wires too; without, all rest after as many steps as there are wires."""

    def __repr__(self) -> str:
        kind = "" if self.feedback else ", without feedback"
        lines = [f"Circuit of {self.input_shape} images, {self.classes} classes, {self.neuron!r}{kind}"]
        lines += [f"  link{index}: {wire!r}" for index, wire in enumerate(self.wires, start=1)]
        return "\n".join([*lines, *([] if self.readout is None else [f"  readout: {self.readout!r}"])])

    @property
    def input_shape(self) -> Shape:
        """(C, H, W) of one image."""
        return self.wires[0].below

    @property
    def cores(self) -> tuple[int, ...]:
        """Of layers 0..L, neuromorphic cores used."""
        return tuple(layer.cores for layer in self.placed)

    @property
    def busiest(self) -> tuple[float, ...]:
        """Of layers 0..L, units on the fullest core over those on a mean one."""
        return tuple(layer.busiest for layer in self.placed)

    @property
    def layers(self) -> tuple[Shape, ...]:
        """Shapes of layers 0..L."""
        return (self.wires[0].below, *(wire.above for wire in self.wires))

    @property
    def classes(self) -> int:
        """Number of classes."""
        return (self.wires[-1] if self.readout is None else self.readout).above[0]

    def encode(self, images: ArrayLike) -> NDArray[np.generic]:
        """Images (B, C, H, W) in [0, 1] as the codes of layer 0: float32, or integers 0..one."""
        images = checked_images(images, self.input_shape)
        if isinstance(self.neuron, FloatNeuron):
            return images.astype(np.float32)
        return np.rint(images * self.neuron.one).astype(np.int32)


@dataclass(frozen=True)
class Weights:
    """Every number of a circuit that can be learnt, in the units of its wires: one entry per wire, then the readout."""

    weights: tuple[NDArray[np.generic], ...]
    biases: tuple[NDArray[np.generic], ...]


def weights_of(circuit: Circuit) -> Weights:
    """The numbers a circuit came with."""
    readout = () if circuit.readout is None else (circuit.readout.weight,)
    readout_bias = () if circuit.readout is None else (circuit.readout_bias,)
    return Weights((*(wire.weight for wire in circuit.wires), *readout), (*circuit.biases, *readout_bias))


def with_weights(circuit: Circuit, weights: Weights) -> Circuit:
    """The circuit with other numbers on it, in the number formats it has."""
    count = len(circuit.wires)
    wires = [
        replace(wire, weight=weight.astype(wire.weight.dtype))
        for wire, weight in zip(circuit.wires, weights.weights[:count], strict=True)
    ]
    biases = [new.astype(old.dtype) for new, old in zip(weights.biases[:count], circuit.biases, strict=True)]
    if circuit.readout is None:
        return replace(circuit, wires=tuple(wires), biases=tuple(biases))
    readout = replace(circuit.readout, weight=weights.weights[-1].astype(circuit.readout.weight.dtype))
    readout_bias = weights.biases[-1].astype(circuit.readout_bias.dtype)
    return replace(circuit, wires=tuple(wires), biases=tuple(biases), readout=readout, readout_bias=readout_bias)


def checked_images(images: ArrayLike, shape: Shape) -> NDArray[np.floating]:
    """Images (B, C, H, W), or one (C, H, W), as an array (B, C, H, W) that a machine can read.

    An array, a torch tensor on the CPU, or whatever else numpy can read; float16 and integers become float32.

    Raises:
        ValueError: wrong shape, empty, NaN or outside [0, 1], such as pixels from 0 to 255.
    """
    try:
        array = np.asarray(images)
    except (TypeError, RuntimeError, ValueError) as error:  # a tensor on a GPU, or one that keeps its gradient
        raise ValueError(f"images are a {type(images).__name__} that numpy cannot read: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"images are {array.dtype}, expected numbers in [0, 1]")
    array = array[None] if array.ndim == len(shape) else array
    if array.shape[1:] != shape:
        raise ValueError(f"images are {array.shape[1:]}, the machine reads {shape}")
    if not len(array):
        raise ValueError("no images: the batch is empty")
    if array.dtype.kind in "iu" and array.max() > 1:
        raise ValueError(f"images are {array.dtype} up to {array.max()}, expected [0, 1]: divide by full brightness")
    wrong = np.argwhere(~((array >= 0) & (array <= 1)))  # NaN is wrong too
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        raise ValueError(f"images must lie in [0, 1]: image {place[0]} holds {array[place]} at {place[1:]}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
