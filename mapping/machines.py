"""Onto the machines: a network or program becomes a machine that settles it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hw.brian.machine import Brian
from hw.brian.options import PERFECT, Imperfections, Scheme, Simulation
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.machine import REWRITING, Crossbar
from hw.crossbar.updates.update import Update
from hw.digital.machine import Digital
from hw.lava.hosting import HOSTING, Hosting
from hw.lava.machine import Lava
from hw.resistive.die import Die
from hw.resistive.learning import InPlace
from hw.resistive.machine import Physics, Resistive
from mapping.circuit import circuit_of
from mapping.operators import float_operator, integer_operator
from mapping.placement.chip import LOIHI_1, Chip
from mapping.program import Program
from mapping.resistive import G_MAX_S, INPUT_V, Mapped, resistive_of
from models.ep.network import EPNetwork
from models.train.free_memory import free_bytes


def steps_of(source: EPNetwork | Program, steps: int) -> int:
    """Steps that a machine takes: without feedback all rest after as many as there are layers, and it stops there."""
    return steps if source.feedback else min(steps, len(source.links))


def to_digital(
    source: EPNetwork | Program,
    *,
    steps: int,
    batch_size: int = 256,
    tolerance: float | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> Digital:
    """The digital reference: a network in float32, a program in bit-exact integers, on "cpu" or "cuda"."""
    if isinstance(source, EPNetwork):
        links = [float_operator(link, device) for link in source.links]
        readout = None if source.readout is None else float_operator(source.readout, device)
    else:
        links = [integer_operator(link, device) for link in source.links]
        readout = None if source.readout is None else integer_operator(source.readout, device)
    return Digital(
        circuit_of(source),
        links,
        readout,
        steps=steps_of(source, steps),
        batch_size=batch_size,
        tolerance=tolerance,
        device=device,
        seed=seed,
    )


def to_lava(
    source: EPNetwork | Program,
    *,
    steps: int,
    batch_size: int = 256,
    tolerance: float | None = None,
    delta_threshold: int | None = None,
    hosting: Hosting = HOSTING,
    seed: int = 0,
    chip: Chip = LOIHI_1,
) -> Lava:
    """A Lava graph: a network in float, a program in fixed point, or in fixed point sending only changes of at least
    `delta_threshold` codes; messages are counted between the cores of `chip`."""
    return Lava(
        circuit_of(source, chip),
        steps=steps_of(source, steps),
        batch_size=batch_size,
        tolerance=tolerance,
        delta_threshold=delta_threshold,
        hosting=hosting,
        seed=seed,
    )


def to_crossbar(
    source: EPNetwork | Program,
    fabrication: Fabrication,
    *,
    steps: int,
    batch_size: int = 256,
    tolerance: float | None = None,
    update: Update = REWRITING,
    device: str = "cpu",
) -> Crossbar:
    """Analog tiles, programmed: a network with its weights as conductances, a program with its integers.

    Its converters have no ranges yet: `prepare(training_images, Remedies())` must come before it settles.
    """
    return Crossbar(
        circuit_of(source),
        fabrication,
        steps=steps_of(source, steps),
        batch_size=batch_size,
        tolerance=tolerance,
        update=update,
        torch_device=device,
    )


def to_brian(
    source: EPNetwork | Program,
    *,
    duration_tau: float,
    scheme: Scheme | None = None,
    simulation: Simulation | None = None,
    imperfections: Imperfections = PERFECT,
    batch_size: int = 16,
    tolerance: float = 0.01,
) -> Brian:
    """Neurons in continuous time, in Brian2: rates, or spikes by `scheme`; a batch that does not fit is refused."""
    return Brian(
        circuit_of(source),
        duration_tau=duration_tau,
        scheme=scheme,
        simulation=simulation,
        imperfections=imperfections,
        batch_size=batch_size,
        tolerance=tolerance,
        free_bytes=free_bytes("cpu"),
    )


def to_resistive(
    source: EPNetwork,
    *,
    batch_size: int = 256,
    input_v: float = INPUT_V,
    g_max_s: float = G_MAX_S,
    physics: Physics = Physics(),  # noqa: B008 - frozen
    fabricated: Callable[[Mapped], Die] | None = None,
    update: str = "rewrite",
    device: str = "cpu",
) -> Resistive:
    """A circuit of resistors and diodes; `fabricated` makes a die of it, whose devices learn by `update`, rewrite or
    pulses. It learns where the source is the equal of a deep resistive network.

    Raises `NotResistiveError` for a network that resistors cannot express.
    """
    mapped = resistive_of(source, input_v=input_v, g_max_s=g_max_s)
    die = None if fabricated is None else fabricated(mapped)
    in_place = None
    if mapped.circuit is not None:
        in_place = InPlace(mapped.siemens, mapped.volt, mapped.as_states, None if die is None else update)
    return Resistive(
        mapped.network,
        mapped.reading,
        physics=replace(physics, die=die),
        batch_size=batch_size,
        device=device,
        in_place=in_place,
    )
