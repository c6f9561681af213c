"""Learning on the devices: from where the phases ended to what every link is asked to add to its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.circuit import FloatNeuron
from hw.crossbar.devices.device import Array, Device
from hw.crossbar.link import CrossbarLink
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.update import Outer, total
from hw.digital.dynamics import Dynamics
from hw.digital.phases import Ends, bias_gradients
from hw.learning.rule import LearningRule


def check_rule(rule: LearningRule, neuron: object, design: Design) -> None:
    """Refuse what no crossbar can learn; ValueError names it."""
    descent = rule.descent
    if not isinstance(neuron, FloatNeuron):
        raise ValueError("a program's integers cannot learn on a crossbar: give it the network")
    if design.neurons == "analog":
        raise ValueError(
            "analog neurons cannot be nudged through a readout that is converted once, nor hold the ends of two "
            "phases: learning needs neurons 'digital'"
        )
    if descent.momentum or any(descent.weight_decays) or any(descent.bias_decays):
        raise ValueError(
            f"momentum {descent.momentum} and weight decay {descent.weight_decays} need the weights as numbers, "
            "which a crossbar does not have: both must be 0"
        )
    rule.phases.pairs()


def outers_of(links: Sequence[CrossbarLink], chain: int, ends: Ends, rule: LearningRule) -> list[list[Outer]]:
    """What every link is to add to its weights, as outer products of what its two sides see.

    Of two phases with weights -c and c, with b below and a above at their ends,

        a2 b2^T - a1 b1^T  =  (a2 - a1) (b2 + b1)^T / 2  +  (a2 + a1) (b2 - b1)^T / 2,

    so that neurons that keep both of their ends ask for the small difference alone, and no pulses are sent that would
    cancel each other. Link number `chain`, if any, is the readout.
    """
    count, rates = len(ends.states[0][0]), rule.descent.weight_rates
    by_link = []
    for index, link in enumerate(links[:chain]):
        outers = []
        for first, second, share in rule.phases.pairs():
            sides = [link.sides(ends.states[k][index], ends.states[k][index + 1]) for k in (first, second)]
            (below1, above1), (below2, above2) = ([side.cpu().numpy() for side in pair] for pair in sides)
            factor = rates[index] * share / count
            outers.append(Outer((below2 + below1) / 2, above2 - above1, factor))
            # a clamped input is the same in both phases: its difference asks for nothing
            if index:
                outers.append(Outer(below2 - below1, (above2 + above1) / 2, factor))
        by_link.append(outers)
    if ends.errors:
        factor = rates[-1] / (count * len(ends.errors))
        by_link.append(
            [
                Outer(states[-1].flatten(1).cpu().numpy(), error.cpu().numpy(), factor)
                for states, error in zip(ends.states, ends.errors, strict=True)
            ]
        )
    return by_link


def too_large(name: str, link: CrossbarLink, change: Array) -> str | None:
    """Why an update must not be written: it would leave the range of the devices at once. None if it may be."""
    largest = float(np.abs(change).max(initial=0.0))
    if largest <= 2 * link.matrix.largest:  # false for NaN too
        return None
    return (
        f"an update of {name} would change a weight by {largest:g}, its devices hold {-link.matrix.largest:g} to "
        f"{link.matrix.largest:g}: use a smaller learning rate"
    )


def worn_out(name: str, matrices: Sequence[TiledMatrix], device: Device) -> str | None:
    """Why learning must stop: a device of the matrices of a link has had all the writes it stands. None if none has."""
    most = max(int(tile.array.writes.max()) for matrix in matrices for tile in matrix.tiles)
    if device.endurance is None or most < device.endurance:
        return None
    return f"a device of {name} has had {most} writes, {device.name} stands {device.endurance:g}: stopped"


def shift_biases(dynamics: Dynamics, ends: Ends, rule: LearningRule) -> None:
    """Biases are digital numbers of the neurons: they descend as on any processor."""
    gradients = bias_gradients(dynamics, ends, rule.phases)
    for index, (gradient, rate) in enumerate(zip(gradients, rule.descent.bias_rates, strict=True)):
        old = dynamics.biases[index] if index < len(dynamics.biases) else dynamics.readout_bias
        dynamics.load_bias(index, old - rate * gradient)


def agreement(changes: Sequence[Array], before: Sequence[Array], links: Sequence[CrossbarLink]) -> tuple[float, ...]:
    """Of every link, the cosine of all changes asked for with the change of what its devices show; 0 of nothing."""
    cosines = []
    for change, old, link in zip(changes, before, links, strict=True):
        applied = link.matrix.shown() - old
        size = float(np.linalg.norm(change) * np.linalg.norm(applied))
        cosines.append(float((change * applied).sum() / size) if size else 0.0)
    return tuple(cosines)


def totals(by_link: Sequence[Sequence[Outer]]) -> list[Array]:
    """(outputs, inputs) change asked of every link."""
    return [total(outers) for outers in by_link]
