"""From scratch: a fresh network learns on the machine that will run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.machines.crossbar import CrossbarWork, Point, device_of, die, set_ranges
from bench.robustness.disturbances import Images
from bench.studies.curve import Labels, LearningCurve, learning_curve
from hw.crossbar.updates.update import Update
from hw.machine import LearningMachine
from mapping.machines import to_digital, to_lava
from mapping.program import Program
from mapping.quantization import quantize
from mapping.training import LearningSchedule
from models.data.augment import shifted
from models.ep.network import Dense, EPNetwork, build_network
from models.recipes import Recipe

DIE_LAYERS = (Dense(128, gain=0.7), Dense(10, gain=0.7))
"""Network of a die: 64-128-10 on digits, the last layer the output of a squared error."""
DIE_HEADROOM = 2.0
"""The range of the devices over the largest weight a die starts with."""
INTEGER_HEADROOM_BITS = 3
"""Bits that the weights of a program start below their range."""
CALIBRATION_IMAGES = 256


def scratch_die(
    point: Point,
    update: Update,
    work: CrossbarWork,
    schedule: LearningSchedule,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    *,
    index: int,
    steps: int,
    batch_size: int,
    keep: Path,
    advance: Callable[[], None],
) -> LearningCurve:
    """Die number `index` of a point learns from weights of its own."""
    network = fresh(train[0].shape[1:], work.seed + index)
    machine = die(
        network,
        point,
        work,
        index=index,
        steps=steps,
        batch_size=batch_size,
        tolerance=None,
        headroom=DIE_HEADROOM,
        update=update,
    )
    return learning_curve(
        machine,
        network,
        train,
        test,
        schedule,
        seed=work.seed + index,
        keep=keep,
        refresh=lambda: set_ranges(machine, work),
        advance=advance,
    )


def fresh(shape: tuple[int, ...], seed: int) -> EPNetwork:
    """The network of a die before it has learnt anything."""
    return build_network(shape, DIE_LAYERS, None, torch.Generator().manual_seed(seed))


def default_update(point: Point, work: CrossbarWork) -> str:
    """Pulses in place if the device has a published response to them, else rewriting."""
    return "rewrite" if device_of(point, work.options).pulses is None else "pulses"


def scratch_clocked(
    backend: str,
    precision: str,
    recipe: Recipe,
    schedule: LearningSchedule,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    *,
    seed: int,
    steps: int,
    batch_size: int,
    device: str,
    keep: Path,
    advance: Callable[[], None],
) -> LearningCurve:
    """The network of a recipe learns on torch or Lava, in floats or integers."""
    network = build_network(train[0].shape[1:], recipe.layers, 10, torch.Generator().manual_seed(seed))
    source: EPNetwork | Program = network
    if precision == "fixed":
        calibration = torch.as_tensor(train[0][:CALIBRATION_IMAGES])
        source = quantize(network, calibration, steps=steps, headroom_bits=INTEGER_HEADROOM_BITS)
    with open_clocked(backend, source, steps=steps, batch_size=batch_size, seed=seed, device=device) as machine:
        shifts = _shifts(recipe)
        return learning_curve(
            machine, source, train, test, schedule, seed=seed, keep=keep, augment=shifts, advance=advance
        )


def open_clocked(
    backend: str, source: EPNetwork | Program, *, steps: int, batch_size: int, seed: int, device: str
) -> LearningMachine:
    """The machine of a backend that computes step by step."""
    if backend == "torch":
        return to_digital(source, steps=steps, batch_size=batch_size, seed=seed, device=device)
    return to_lava(source, steps=steps, batch_size=batch_size, seed=seed)


def _shifts(recipe: Recipe) -> Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]:
    """The augmentation of a recipe."""

    def shift(images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        return shifted(torch.as_tensor(images), recipe.shift, recipe.shift_chance, generator).numpy()

    return shift
