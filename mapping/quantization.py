"""From a trained network to a program: post-training quantization with a proof and a report.

Every link gets the exponent e that fits its weights into int8. Where the largest weights are few, clipping them for one
bit more of all others may be better: of the two candidates, the one that disturbs the drives of the calibration images
less is taken. Then exponents are lowered until no accumulator can overflow, which the weights themselves prove.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor, log2

import numpy as np
import torch
from torch import Tensor

from mapping.circuit import check_chain, check_finite
from mapping.program import (
    ACCUMULATOR_BITS,
    ACCUMULATOR_MAX,
    STATE_BITS,
    WEIGHT_MAX,
    Program,
    ProgramError,
    ProgramLink,
    accumulator_bounds,
    layer_exponents,
)
from models.ep.links import DenseLink, Link, with_tensors
from models.ep.network import EPNetwork
from models.ep.relaxation import relax


@dataclass(frozen=True)
class LinkScale:
    """What quantization did to one link and to the layer above it."""

    name: str
    exponent: int
    """w = w_int * 2**-exponent."""
    largest_weight: float
    """Largest |w| of the trained link."""
    clipped: int
    """Weights that did not fit and were clipped to +-127."""
    weight_error: float
    """RMS of the change of the weights over the RMS of the weights."""
    drive_error: float
    """RMS of the change of W s on the calibration images, in units of state 1.0."""
    accumulator_bits: float
    """Bits, with sign, that the accumulator above could need for any input whatever: log2(bound) + 1."""
    active_before: float | None
    """Share of units above that are not zero at equilibrium, in float; None for the readout."""
    active_after: float | None
    """The same after quantization."""


AT_ONCE = 64
"""Images that settle together, so that states of convolutional layers stay in a processor's caches."""


@torch.no_grad()
def quantize(
    network: EPNetwork, images: Tensor, *, state_bits: int = 8, steps: int = 40, headroom_bits: int = 0
) -> Program:
    """The network as int8 weights, `state_bits`-bit states and 24-bit accumulators that cannot overflow.

    images (B, C, H, W) calibrate and should be training images; `steps` settles them. `headroom_bits` lowers every
    exponent by so much: a machine that learns may then grow its weights by a factor of 2**headroom_bits. Raises
    `ProgramError` for a network that integers cannot hold: max pooling, weights beyond int8 at every exponent, NaN.
    """
    if state_bits not in STATE_BITS:
        raise ProgramError(f"state_bits is {state_bits!r}, choices are {', '.join(map(str, STATE_BITS))}")
    check_chain(network)
    network.check_images(images)
    check_finite(network)
    one = 2**state_bits - 1
    states = _equilibrium(network, images, steps)
    links, readout = network.links, network.readout
    exponents = [
        _best_exponent(f"link{index}", link, states[index - 1], states[index])
        for index, link in enumerate(links, start=1)
    ]
    readout_exponent = 1 if readout is None else _best_exponent("readout", readout, states[-1], None)
    exponents, readout_exponent = [e - headroom_bits for e in exponents], max(readout_exponent - headroom_bits, 1)
    if min(exponents) < 1 or headroom_bits < 0:
        raise ProgramError(f"headroom_bits is {headroom_bits}: the exponents {exponents} must stay at least 1")
    while True:
        points = layer_exponents(exponents)
        fixed = [
            _link_in_integers(link, exponent, point, one, half=2 ** (point - 1))
            for link, exponent, point in zip(links, exponents, points, strict=True)
        ]
        fixed = _with_bounded_biases(fixed, points, one, 2**headroom_bits)
        top = None if readout is None else _link_in_integers(readout, readout_exponent, readout_exponent, one, half=0)
        over = [name for name, b in accumulator_bounds(fixed, top, one).items() if b.max() > ACCUMULATOR_MAX]
        if not over:
            return Program(tuple(fixed), top, state_bits, network.feedback)
        if "readout" in over:
            readout_exponent -= 1
        for index, point in enumerate(points):
            if f"layer{index + 1}" in over:
                # halve the accumulator: lower its binary point, that is every link that sets it
                for link in {index, min(index + 1, len(links) - 1)}:
                    exponents[link] = min(exponents[link], point - 1)
        if min(*exponents, readout_exponent) < 1:
            raise ProgramError(
                f"the accumulator of {over[0]} could overflow {ACCUMULATOR_BITS} bits at every exponent: too many "
                f"weights of {state_bits}-bit states meet in one unit; use fewer state bits (choices {STATE_BITS})"
            )


@torch.no_grad()
def scale_report(network: EPNetwork, program: Program, images: Tensor, *, steps: int = 40) -> tuple[LinkScale, ...]:
    """What became of every link, on these images."""
    before = _equilibrium(network, images, steps)
    after = _equilibrium(in_float(network, program), images, steps)
    bounds = list(program.accumulator_bounds().values())
    trained = {f"link{index}": link for index, link in enumerate(network.links, start=1)}
    if network.readout is not None:
        trained["readout"] = network.readout
    rows = []
    for index, (name, link) in enumerate(trained.items()):
        fixed = program.named_links()[name]
        change = _change(link, fixed.exponent)
        rows.append(
            LinkScale(
                name=name,
                exponent=fixed.exponent,
                largest_weight=float(link.weight.abs().max()),
                clipped=int(((_stored(link) * 2.0**fixed.exponent).round().abs() > WEIGHT_MAX).sum()),
                weight_error=_rms(change.weight) / max(_rms(link.weight), 1e-30),
                drive_error=_rms(change.up(before[index])[0]),
                accumulator_bits=log2(max(float(bounds[index].max()), 1.0)) + 1,
                active_before=None if name == "readout" else float((before[index + 1] > 0).float().mean()),
                active_after=None if name == "readout" else float((after[index + 1] > 0).float().mean()),
            )
        )
    return tuple(rows)


def in_float(network: EPNetwork, program: Program) -> EPNetwork:
    """The network with the program's weights and biases, states not rounded: what weight quantization alone does."""
    named = {}
    for index, (name, link) in enumerate(program.named_links().items()):
        bottom = index < len(program.links)
        point = program.exponents[index] if bottom else link.exponent
        half = 2.0 ** (point - 1) if bottom else 0.0
        bias = (link.bias.astype(np.float64) - half) / (program.one * 2.0**point)
        named[f"{name}.weight"] = torch.as_tensor(link.weight, dtype=torch.float32) * 2.0**-link.exponent * link.window
        named[f"{name}.bias"] = torch.as_tensor(bias, dtype=torch.float32)
    return network.with_parameters(named)


def _equilibrium(network: EPNetwork, images: Tensor, steps: int) -> list[Tensor]:
    """Layers 0..L at rest; part by part, which needs a third less time and memory than all images at once."""
    parts = [relax(network, part, steps=steps, schedule="synchronous").states for part in images.split(AT_ONCE)]
    return [images, *(torch.cat(layer) for layer in zip(*parts, strict=True))]


def _stored(link: Link) -> Tensor:
    """The weight as integer machines hold it: with one over the window of an average pool in it."""
    if isinstance(link, DenseLink):
        return link.weight
    if link.pooling == "max":
        raise ProgramError(
            "integer machines hold 'none' and 'average' pooling only, a link of this network pools by max: run it in "
            "float or analog, or train one with strides or averages"
        )
    return link.weight / link.pool_size**2


def _change(link: Link, exponent: int) -> Link:
    """What rounding at this exponent adds to the link, as a link."""
    window = 1 if isinstance(link, DenseLink) else link.pool_size**2
    weight = _rounded(_stored(link), exponent) * 2.0**-exponent * window
    return with_tensors(link, weight - link.weight, torch.zeros_like(link.bias))


def _best_exponent(name: str, link: Link, below: Tensor, above: Tensor | None) -> int:
    """The finest exponent that clips nothing, or one bit finer if that disturbs the drives less."""
    largest = float(_stored(link).abs().max())
    finest = min(floor(log2(WEIGHT_MAX / largest)) if largest > 0 else ACCUMULATOR_BITS, ACCUMULATOR_BITS)
    if finest < 1:
        raise ProgramError(f"{name} holds the weight {largest:g}: int8 with an exponent of at least 1 ends at 63.5")

    def error(exponent: int) -> float:
        change = _change(link, exponent)
        total = float(change.up(below)[0].square().sum())
        return total if above is None else total + float(change.down(above).square().sum())

    candidates = [exponent for exponent in (finest, finest + 1) if exponent <= ACCUMULATOR_BITS]
    return min(candidates, key=error)


def _link_in_integers(link: Link, exponent: int, point: int, one: int, half: int) -> ProgramLink:
    # a bias beyond any accumulator is cut to what int32 holds; the proof of the bound then refuses it
    bias = ((link.bias.double() * one * 2.0**point).round() + half).clamp(-(2.0**30), 2.0**30)
    weight = _rounded(_stored(link), exponent).to(torch.int8).numpy()
    integers = ProgramLink(link.kind, link.below, weight, exponent, bias.to(torch.int32).numpy())
    if isinstance(link, DenseLink):
        return integers
    return replace(integers, stride=link.stride, padding=link.padding, pooling=link.pooling, pool_size=link.pool_size)


def _with_bounded_biases(links: list[ProgramLink], points: tuple[int, ...], one: int, growth: int) -> list[ProgramLink]:
    """The links with every bias cut to what can matter, so that one dead unit costs its layer no bits.

    Let R be the most that all states together bring to a unit. With b <= -R its sum is at most 0 and its state 0,
    whatever the others are; with b >= R + one 2**E its state is one. Between such biases nothing tells them apart, so
    each is cut to -R..R + one 2**E: every state stays the same in every bit. Weights that learn may grow by `growth`.
    """
    silent = [replace(link, bias=np.zeros_like(link.bias)) for link in links]
    reach = accumulator_bounds(silent, None, one).values()
    cut = []
    for link, point, sums in zip(links, points, reach, strict=True):
        most = growth * sums.reshape(len(link.bias), -1).max(axis=1)
        bias = np.clip(link.bias.astype(np.float64), -most, most + one * 2.0**point)
        cut.append(replace(link, bias=bias.clip(-(2.0**30), 2.0**30).astype(np.int32)))
    return cut


def _rounded(weight: Tensor, exponent: int) -> Tensor:
    return (weight * 2.0**exponent).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
