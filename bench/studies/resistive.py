"""The parts of `python -m bench.resistive`: every number of its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.machines.backend import Conditions, Settling
from bench.machines.crossbar import CrossbarBackend
from bench.machines.crossbar_dies import die
from bench.machines.crossbar_options import DeviceOptions, RemedyOptions
from bench.machines.crossbar_prices import crossbar_prices
from hw.cost.cost import Cost
from hw.cost.loihi import loihi_cost
from hw.cost.profiles import PROFILES
from hw.cost.resistive import DRIVER_SPREAD, SPREAD, driver_w, resistive_cost, thermal_limit_j
from hw.cost.roofline import gpu_cost
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.presets import preset
from hw.crossbar.machine import Crossbar
from hw.ledger import merge
from hw.machine import Settled
from hw.resistive.die import Die, Mismatch, fabricate
from hw.resistive.machine import Physics, Resistive
from hw.resistive.parasitics import driven_f
from mapping.machines import to_digital, to_lava, to_resistive
from mapping.quantization import quantize
from mapping.resistive import Mapped
from models.data import load_data
from models.ep.network import EPNetwork
from models.resistive.equivalent import ResistiveEP
from models.zoo import load_model
from models.zoo.manifests import trained_on

HOUR_S = 3600.0
BITS = 8
GPU, CROSSBAR, LOIHI = "NVIDIA H200", "hermes-14nm", "davies2018"
"""Whose prices the other machines have."""
STEPS = 8
"""Synchronous steps of machines with a clock: twice what the network needs to give all its answers."""
CALIBRATION_IMAGES = 256
"""Training images by which machines set their converters, biases and scales."""
BATCH = 1000


@dataclass(frozen=True)
class Study:
    """A network with its images."""

    network: EPNetwork
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    calibration: NDArray[np.float32]
    options: Any


def study_of(options: Any) -> Study:
    """Everything loaded; ValueError for a network that is not one of resistors."""
    network = load_model(options.model)
    if not isinstance(network, ResistiveEP):
        raise ValueError(f"model {options.model!r} is no resistive network: train one with python -m models.resistive")
    data = load_data(trained_on(options.model), options.data_dir)
    test = data.test.at_most(options.limit or len(data.test))
    calibration = data.train.at_most(CALIBRATION_IMAGES).floats().numpy()
    return Study(network, test.floats().numpy(), test.labels.numpy(), calibration, options)


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


def energy(study: Study, dies: Sequence[float]) -> dict[str, Any]:
    """Joules and seconds of an image, where they go, what the assumptions do to them, how far from the thermal limit
    they are, and what other machines take for the same answers; `dies` are accuracies of dies of the device."""
    machine = machine_of(study, None, preset(study.options.device).g_max_s, 0)
    images, labels = study.images[:BATCH], study.labels[:BATCH]
    settled = machine.settle(images)
    assert settled.rest_s is not None
    watts = driver_w(driven_f(machine.network, machine.physics.parasitics), machine.tau_s, machine.network.input_v)
    ends = prod(study.network.input_shape), machine.network.units[-1]
    cost = resistive_cost(settled.ledger, watts, *ends, BITS)
    limit = thermal_limit_j(sum(machine.network.units), BITS)
    return {
        "images": len(labels),
        "rest_s": {"mean": float(settled.rest_s.mean()), "max": float(settled.rest_s.max())},
        "breakdown_j": cost.breakdown_j,
        "varied": varied(cost.breakdown_j),
        "thermal_limit_j": limit,
        "over_thermal_limit": {name: joules / limit for name, joules in vars(cost.energy_j).items()},
        "machines": [
            beside("resistors", right(settled, labels), cost),
            beside(f"resistors, {study.options.device} after 1 h", float(np.mean(dies)), cost),
            *others(study, images, labels),
        ],
    }


def varied(breakdown_j: Mapping[str, float]) -> list[dict[str, float]]:
    """Energy under both assumptions that decide it: capacities, which heat, drivers and time are proportional to, and
    the power of drivers and amplifiers. Converters stay as they are."""
    ends = sum(joules for name, joules in breakdown_j.items() if name in ("dac", "adc"))
    heat = sum(joules for name, joules in breakdown_j.items() if name not in ("dac", "adc", "drivers"))
    return [
        {
            "capacity": capacity,
            "drivers": drivers,
            "energy_j": capacity * (heat + drivers * breakdown_j["drivers"]) + ends,
        }
        for capacity in (1 / SPREAD, 1.0, SPREAD)
        for drivers in (1 / DRIVER_SPREAD, 1.0, DRIVER_SPREAD)
    ]


def right(settled: Settled, labels: NDArray[np.int64]) -> float:
    """Share of the answers that are right."""
    return float((settled.logits.argmax(axis=1) == labels).mean())


def beside(name: str, accuracy: float, cost: Cost) -> dict[str, Any]:
    """A row of the table."""
    assert cost.latency_s is not None
    return {"name": name, "accuracy": accuracy, "energy_j": vars(cost.energy_j), "latency_s": vars(cost.latency_s)}


def others(study: Study, images: NDArray[np.float32], labels: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The same network on clocked crossbars, ideal and of the device, on Loihi sending changes, and on a GPU."""
    network = study.network
    found = []
    for name in ("ideal", study.options.device):
        dies = [crossbar_of(study, name, number) for number in range(1 if name == "ideal" else study.options.dies)]
        rows = [die.settle(images) for die in dies]
        age = "" if name == "ideal" else " after 1 h"
        cost = crossbar_prices(merge([row.ledger for row in rows]), "digital").costs[CROSSBAR]
        found.append(beside(f"clocked crossbar, {name}{age}", float(np.mean([right(r, labels) for r in rows])), cost))
    program = quantize(network, torch.as_tensor(study.calibration), steps=STEPS)
    with to_lava(program, steps=STEPS, batch_size=BATCH, delta_threshold=1) as machine:
        sent = machine.settle(images)
    found.append(beside("Loihi, sending changes", right(sent, labels), loihi_cost(sent.ledger, PROFILES[LOIHI])))
    digital = to_digital(network, steps=STEPS, batch_size=BATCH).settle(images)
    gpu = gpu_cost(digital.ledger, GPU)
    assert gpu is not None
    return [*found, beside(f"{GPU} at its roofline", right(digital, labels), gpu)]


def crossbar_of(study: Study, device: str, number: int) -> Crossbar:
    """Die `number` of a clocked crossbar, an hour after programming, its digital biases corrected."""
    backend = CrossbarBackend(
        DeviceOptions(device_preset=(device,), hours=(1.0,)), remedies=RemedyOptions(offset_correction=True)
    )
    conditions = Conditions(Settling(steps=STEPS, batch_size=BATCH), study.calibration, study.options.seed, "cpu")
    return die(study.network, backend.main_point(), backend, conditions, number)
