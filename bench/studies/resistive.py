"""The parts of `python -m bench.resistive`: every number of its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.cost.resistive import driver_w, resistive_cost, thermal_limit_j
from hw.cost.roofline import gpu_cost
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.presets import preset
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Descent, LearningRule
from hw.resistive.die import Die, Mismatch, fabricate
from hw.resistive.machine import Physics, Resistive
from hw.resistive.parasitics import driven_f
from mapping.machines import to_digital, to_resistive
from mapping.resistive import Mapped
from models.data import load_data
from models.ep.network import EPNetwork
from models.resistive.equivalent import ResistiveEP
from models.resistive.recipe import resistive_recipe, resistive_recipe_names
from models.zoo import load_model
from models.zoo.manifests import trained_on

HOUR_S = 3600.0
BITS = 8
GPU, GPU_STEPS = "NVIDIA H200", 8
"""Synchronous steps that a clocked processor is given: twice what the network needs to give all its answers."""
BATCH = 1000


@dataclass(frozen=True)
class Study:
    """A network with its images."""

    network: EPNetwork
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    train: tuple[NDArray[np.float32], NDArray[np.int64]]
    beta: float
    options: Any


def study_of(options: Any) -> Study:
    """Everything loaded; ValueError for a network that is not one of resistors."""
    network = load_model(options.model)
    if not isinstance(network, ResistiveEP):
        raise ValueError(f"model {options.model!r} is no resistive network: train one with python -m models.resistive")
    data = load_data(trained_on(options.model), options.data_dir)
    test = data.test.at_most(options.limit or len(data.test))
    train = data.train.at_most(options.repair_images)
    name = options.model if options.model in resistive_recipe_names() else "drn-digits"
    learnt = (train.floats().numpy(), train.labels.numpy())
    return Study(network, test.floats().numpy(), test.labels.numpy(), learnt, resistive_recipe(name).beta, options)


def machine_of(study: Study, fabricated: Callable[[Mapped], Die] | None, g_max_s: float, seed: int) -> Resistive:
    """A circuit, or a die of it."""
    physics = Physics(noise_seed=(seed,))
    return to_resistive(study.network, batch_size=BATCH, g_max_s=g_max_s, physics=physics, fabricated=fabricated)


def die_of(study: Study, device: Device, number: int, hours: float, offset_v: float = 0.0) -> Resistive:
    """Die `number`, so many hours after programming."""
    seed = 1000 * study.options.seed + number

    def made(mapped: Mapped) -> Die:
        return fabricate(mapped.network, device, (seed,), mismatch=Mismatch(offset_v=offset_v)).at(hours * HOUR_S)

    return machine_of(study, made, device.g_max_s, seed)


def accuracy(study: Study, machine: Resistive) -> float:
    """Share of the test images that are right, at rest: answers need no way there."""
    answers = machine.answers(study.images)
    return float((answers.argmax(axis=1) == study.labels).mean())


def exact(study: Study) -> dict[str, Any]:
    """Without errors."""
    machine = machine_of(study, None, preset(study.options.device).g_max_s, 0)
    return {
        "accuracy": accuracy(study, machine),
        "tau_s": machine.tau_s,
        "resistors": machine.network.resistors,
        "nodes": sum(machine.network.units),
    }


def noise_sweep(study: Study, scales: Sequence[float]) -> list[dict[str, Any]]:
    """Accuracy of dies an hour after programming, by the noise of their devices."""
    device = preset(study.options.device)
    return [
        {
            "noise": scale,
            "accuracy": [
                accuracy(study, die_of(study, device.noisy(scale), number, 1.0)) for number in range(study.options.dies)
            ],
        }
        for scale in scales
    ]


def offset_sweep(study: Study, offsets_mv: Sequence[float]) -> list[dict[str, Any]]:
    """Accuracy with perfect resistors, by the spread of offsets."""
    return [
        {
            "offset_mv": offset,
            "accuracy": [
                accuracy(study, die_of(study, preset("ideal"), number, 0.0, 1e-3 * offset))
                for number in range(study.options.dies)
            ],
        }
        for offset in offsets_mv
    ]


def repair(study: Study, epochs: int, rate: float) -> list[dict[str, Any]]:
    """Dies an hour after programming, and after every epoch of centered EP on them."""
    links = len(study.network.links)
    phases = UpdatePhases.centered(study.beta, free_steps=1, nudged_steps=1)
    dies = []
    for number in range(study.options.dies):
        machine = die_of(study, preset(study.options.device), number, 1.0)
        reached = [accuracy(study, machine)]
        for epoch in range(epochs):
            rates = (rate * 0.5**epoch,) * (links + 1)
            nothing = (0.0,) * (links + 1)
            order = np.random.default_rng((number, epoch)).permutation(len(study.train[1]))
            rule = LearningRule(phases, Descent(rates, rates, nothing, nothing), 4)
            machine.learn(study.train[0][order], study.train[1][order], rule)
            reached.append(accuracy(study, machine))
        dies.append({"die": number + 1, "accuracy": reached, "devices_written": machine.writes()})
    return dies


def energy(study: Study) -> dict[str, Any]:
    """Joules and seconds of an image, where they go, and how far from the thermal limit and from a GPU they are."""
    machine = machine_of(study, None, preset(study.options.device).g_max_s, 0)
    settled = machine.settle(study.images[:BATCH])
    watts = driver_w(driven_f(machine.network, machine.physics.parasitics), machine.tau_s, machine.network.input_v)
    outputs = machine.network.units[-1]
    cost = resistive_cost(settled.ledger, watts, prod(study.network.input_shape), outputs, BITS)
    limit = thermal_limit_j(sum(machine.network.units), BITS)
    digital = to_digital(study.network, steps=GPU_STEPS, batch_size=BATCH)
    answers = digital.settle(study.images[:BATCH])
    gpu = gpu_cost(answers.ledger, GPU)
    assert gpu is not None
    assert gpu.latency_s is not None
    assert cost.latency_s is not None
    assert settled.rest_s is not None
    return {
        "images": len(settled.logits),
        "accuracy": float((settled.logits.argmax(axis=1) == study.labels[:BATCH]).mean()),
        "energy_j": vars(cost.energy_j),
        "rest_s": {"mean": float(settled.rest_s.mean()), "max": float(settled.rest_s.max())},
        "latency_s": vars(cost.latency_s),
        "breakdown_j": cost.breakdown_j,
        "thermal_limit_j": limit,
        "over_thermal_limit": {name: joules / limit for name, joules in vars(cost.energy_j).items()},
        "gpu": {
            "profile": gpu.profile,
            "steps": GPU_STEPS,
            "accuracy": float((answers.logits.argmax(axis=1) == study.labels[:BATCH]).mean()),
            "energy_j": vars(gpu.energy_j),
            "latency_s": vars(gpu.latency_s),
        },
    }
