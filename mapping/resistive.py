"""Onto resistors: a network of `models.ep`, or a resistive one, as a circuit in siemens and volts.

A state s_k becomes the voltage v_k = s_k / d_k. With resistors g_jk = d_j d_k |w_jk| to the rail of the sign of w_jk,
sources of `input_v` and bias currents d_k b_k, Kirchhoff at node k is that of the network if all conductances there add
up to d_k^2; a leak fills up what is missing. So d must be at least |W| d + |w_in|: there is such a d if layers drive
each other, in absolute values, by less than 1: spectral radius of |W| below 1. Resistors cannot express more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.circuit import Weights
from hw.resistive.links import ConvResistors, DenseResistors, Operator, Resistors, unrolled
from hw.resistive.network import Layer, ResistiveNetwork, free_layer, matched
from hw.resistive.readout import Reading
from mapping.circuit import check_chain, check_finite
from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import EPNetwork
from models.resistive.equivalent import ResistiveEP, diagonal, equivalent
from models.resistive.network import DeepResistive, signs

Array = NDArray[np.float64]
INPUT_V = 1.0
G_MAX_S = 25e-6
"""The largest conductance: that of the PCM devices of Nandakumar et al. 2019, as on crossbars."""
SOLVE_STEPS = 2000


class NotResistiveError(ValueError):
    """A network that resistors cannot express; the message names the link and why."""


@dataclass(frozen=True)
class Mapped:
    """A circuit, how its voltages are read as states and scores, and its units."""

    network: ResistiveNetwork
    reading: Reading
    siemens: float
    """Of a conductance of 1 of a deep resistive network; of a weight of 1 between nodes of d = 1 else."""
    volt: float
    """Of a voltage of 1."""
    circuit: DeepResistive | None = None
    """The deep resistive network that it is, if it is one."""

    def as_states(self, network: ResistiveNetwork) -> tuple[Weights, Reading]:
        """The circuit with other conductances, as weights of states, and how it is read then; ValueError for a circuit
        that is no deep resistive network."""
        if self.circuit is None:
            raise ValueError("only a deep resistive network can be read as one")
        source = equivalent(_circuit_of(self, self.circuit, network))
        assert source.readout is not None
        weights = (*(link.weight.numpy() for link in source.links), source.readout.weight.numpy())
        biases = (*(link.spread_bias().numpy() for link in source.links), source.readout.bias.numpy())
        assert source.circuit is not None
        return Weights(weights, biases), _read_circuit(source, source.circuit, self.volt)


def resistive_of(source: EPNetwork | DeepResistive, *, input_v: float = INPUT_V, g_max_s: float = G_MAX_S) -> Mapped:
    """The circuit of a network: of its own resistors where it is the equal of a resistive one.

    Raises:
        NotResistiveError: a pool of maxima, residual links, or layers that drive each other too strongly.
    """
    if not 0 < input_v < np.inf:
        raise ValueError(f"input_v is {input_v} V, expected a positive number")
    if not 0 < g_max_s < np.inf:
        raise ValueError(f"g_max_s is {g_max_s} S, expected a positive number")
    if isinstance(source, DeepResistive):
        source = equivalent(source)
    if isinstance(source, ResistiveEP) and source.circuit is not None:
        return _of_circuit(source, source.circuit, input_v, g_max_s)
    check_chain(source)
    check_finite(source)
    if not source.feedback:
        raise NotResistiveError("the network has no feedback: a resistor carries current both ways")
    return _of_states(source, input_v, g_max_s)


def _of_circuit(source: ResistiveEP, circuit: DeepResistive, input_v: float, g_max_s: float) -> Mapped:
    siemens = g_max_s / max(float(g.max()) for g in circuit.conductances)
    volt = input_v / circuit.input_gain
    pixels = prod(circuit.input_shape)
    links: list[Resistors] = []
    layers: list[Layer] = []
    for index, (g, bias) in enumerate(zip(circuit.conductances, circuit.biases, strict=True)):
        held = siemens * g.double().numpy()
        plus, minus = (held[:, :pixels], held[:, pixels:]) if index == 0 else (held, None)
        links.append(DenseResistors(plus, minus, sparse=True))
        free = free_layer(len(g))
        side = signs(len(g)).numpy()
        hidden = index + 1 < len(circuit.conductances)
        low = np.where(side > 0, 0.0, -np.inf) if hidden else free.low_v
        high = np.where(side > 0, np.inf, 0.0) if hidden else free.high_v
        layers.append(Layer(low, high, free.leak_s, siemens * volt * bias.double().numpy()))
    rows = tuple(
        None if a == 1.0 else matched(len(g), a) for a, g in zip(circuit.gains, circuit.conductances, strict=False)
    )
    network = ResistiveNetwork(tuple(links), tuple(layers), rows, input_v)
    return Mapped(network, _read_circuit(source, circuit, volt), siemens, volt, circuit)


def _read_circuit(source: ResistiveEP, circuit: DeepResistive, volt: float) -> Reading:
    per_volt, shift = [], []
    for index, form in enumerate(diagonal(circuit)):
        hidden = index + 1 < len(circuit.conductances)
        side = signs(len(form)).double() if hidden else torch.ones(len(form), dtype=torch.float64)
        per_volt.append((side * form.sqrt() / (source.full * volt)).numpy())
        shift.append(np.full(len(form), 0.0 if hidden else source.offset))
    return _reading(source, tuple(per_volt), tuple(shift))


def _circuit_of(mapped: Mapped, like: DeepResistive, network: ResistiveNetwork) -> DeepResistive:
    """The deep resistive network that these conductances are."""
    conductances, biases = [], []
    for link, layer in zip(network.links, network.layers, strict=True):
        held = unrolled(link)
        whole = held.plus_s if held.minus_s is None else np.concatenate([held.plus_s, held.minus_s], axis=1)
        conductances.append(torch.as_tensor(whole / mapped.siemens))
        biases.append(torch.as_tensor(layer.bias_a / (mapped.siemens * mapped.volt)))
    return replace(like, conductances=tuple(conductances), biases=tuple(biases))


def _of_states(source: EPNetwork, input_v: float, g_max_s: float) -> Mapped:
    links = [_plain(number, link) for number, link in enumerate(source.links, start=1)]
    scale = _scales(links)
    pairs = [_split(link, index, scale) for index, link in enumerate(links)]
    siemens = g_max_s / max(float(max(pair.plus_s.max(), pair.minus_s.max())) for pair in pairs)  # type: ignore[union-attr]
    resistors = [_scaled(pair, siemens) for pair in pairs]
    operators = [Operator(link, "cpu") for link in resistors]
    layers, per_volt = [], []
    for index, (link, operator) in enumerate(zip(links, operators, strict=True)):
        d = _spread(scale[index], link.above)
        load = operator.load_above.numpy()
        if index + 1 < len(links):
            load = load + operators[index + 1].load_below.numpy()
        leak = siemens * d**2 - load
        leak = np.where(leak < 1e-9 * load, 0.0, leak)
        bias = _spread(link.bias.double().numpy(), link.above)
        layers.append(Layer(np.zeros(len(d)), input_v / d, leak, siemens * input_v * d * bias))
        per_volt.append(d / input_v)
    rows = (None,) * (len(links) - 1)
    network = ResistiveNetwork(tuple(resistors), tuple(layers), rows, input_v)
    reading = _reading(source, tuple(per_volt), tuple(np.zeros(len(d)) for d in per_volt))
    return Mapped(network, reading, siemens, input_v)


def _plain(number: int, link: Link) -> Link:
    """The link with an average pool folded in; NotResistiveError for one that takes maxima."""
    if isinstance(link, ConvLink) and link.pooling == "max":
        raise NotResistiveError(
            f"link {number} ({link!r}) takes maxima: resistors only add currents, train with average pools or stride"
        )
    return link.folded()


def _scales(links: list[Link]) -> list[Array]:
    """d of every unit of a dense layer, of every channel of others: d = |W| d + |w_in| + |b|."""
    strong = [_absolute(link) for link in links]
    first = _most(strong[0].up(torch.ones(1, *links[0].below, dtype=torch.float64))[0][0])
    d = [torch.zeros(link.above[0], dtype=torch.float64) for link in links]
    # biases pull too: a unit that only a bias moves still has a place to stand
    floor = 1e-6 * float(first.max())
    if not float(first.max()) > 0:
        raise NotResistiveError("link 1 has no weights: no source would drive the circuit")
    growth = 0.0
    for step in range(1, SOLVE_STEPS + 1):
        new = []
        for index in range(len(links)):
            total = (
                first.clone() if index == 0 else _most(strong[index].up(_full(d[index - 1], links[index - 1]))[0][0])
            )
            if index + 1 < len(links):
                total = total + _most(strong[index + 1].down(_full(d[index + 1], links[index + 1]))[0])
            new.append(total.clamp(min=floor))
        moved = max(float((a - b).abs().max()) for a, b in zip(new, d, strict=True))
        largest = max(float(a.max()) for a in new)
        d, growth = new, (largest / float(first.max())) ** (1 / step)
        if moved <= 1e-12 * largest:
            return [one.numpy() * (1 + 1e-12) for one in d]
        if largest > 1e9 * float(first.max()):
            break
    raise NotResistiveError(
        f"the layers drive each other by {growth:.3g} in absolute values, resistors express less than 1: train "
        "weaker links between layers (weight_decay), or in the form that maps (python -m models.resistive)"
    )


def _absolute(link: Link) -> Link:
    weight = link.weight.double().abs()
    if isinstance(link, DenseLink):
        return DenseLink(weight, link.bias.double(), link.below)
    return ConvLink(weight, link.bias.double(), link.below, link.stride, link.padding)


def _most(layer: Tensor) -> Tensor:
    """(C, ...) to (C,): what the node of a channel that has most has."""
    return layer.flatten(1).amax(dim=1) if layer.ndim > 1 else layer


def _full(d: Tensor, link: Link) -> Tensor:
    """(1, *above) of a value per channel."""
    return torch.as_tensor(_spread(d.numpy(), link.above)).reshape(1, *link.above)


def _spread(values: Array, shape: tuple[int, ...]) -> Array:
    """A value per channel, or unit, to (units,)."""
    return np.repeat(values, prod(shape[1:]))


def _split(link: Link, index: int, scale: list[Array]) -> Resistors:
    """Resistors d_j d_k |w_jk| on the rail of their sign; inputs stand at 1."""
    weight, above = link.weight.double().numpy(), scale[index]
    if isinstance(link, DenseLink):
        below = (
            np.ones(weight.shape[1])
            if index == 0
            else np.repeat(scale[index - 1], weight.shape[1] // len(scale[index - 1]))
        )
        held = weight * above[:, None] * below[None]
        return DenseResistors(np.maximum(held, 0), np.maximum(-held, 0), sparse=True)
    channels = np.ones(weight.shape[1]) if index == 0 else scale[index - 1]
    held = weight * above[:, None, None, None] * channels[None, :, None, None]
    rails = np.maximum(held, 0), np.maximum(-held, 0)
    return ConvResistors(*rails, link.below, link.stride, link.padding, sparse=True)


def _scaled(link: Resistors, siemens: float) -> Resistors:
    assert link.minus_s is not None
    return replace(link, plus_s=siemens * link.plus_s, minus_s=siemens * link.minus_s)


def _reading(source: EPNetwork, per_volt: tuple[Array, ...], shift: tuple[Array, ...]) -> Reading:
    units = prod(source.layers[-1])
    weight, bias = np.eye(units), np.zeros(units)
    if source.readout is not None:
        weight, bias = source.readout.weight.double().numpy(), source.readout.bias.double().numpy()
    return Reading(source.input_shape, source.layers, per_volt, shift, weight, bias)
