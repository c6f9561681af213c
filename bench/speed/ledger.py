"""What counting costs a settle: `python -m bench.speed ledger`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from bench.evaluate import one_thread_each
from bench.speed.timing import Speed, check_counts, fastest
from hw.digital.machine import Digital
from mapping.machines import to_digital
from models.zoo import load_model

NETWORKS = {"digits": ("digits", 1), "cifar": ("hw-cifar10-small", 8)}
"""Networks, and how many times fewer images than of the first settle together: they are as many times larger."""


def speed_ledger(batch: int = 256, steps: int = 20, repeats: int = 9) -> Speed:
    """Settling with its ledger, and the counting in it alone, of a small and a convolutional network on torch.

    seconds: per settle of `batch` images, of CIFAR an eighth of them. `NAME_overhead` is counting over all else, the
    share by which a ledger makes settling longer; images are drawn, since a count takes as long whatever it counts.
    """
    check_counts(batch=batch, steps=steps, repeats=repeats)
    cases: dict[str, Callable[[], object]] = {}
    for name, (model, fewer) in NETWORKS.items():
        network = load_model(model)
        images = torch.rand(
            (max(1, batch // fewer), *network.input_shape), generator=torch.Generator().manual_seed(0)
        ).numpy()
        machine = to_digital(network, steps=steps, batch_size=batch)
        cases[f"{name}_settle"] = partial(machine.settle, images)
        cases[f"{name}_counting"] = partial(count_all, machine, _states(machine, images), steps)
    with one_thread_each():
        seconds = fastest(cases, repeats=repeats, clock="processor")
    ratios = {}
    for name in NETWORKS:
        counting, settle = seconds[f"{name}_counting"], seconds[f"{name}_settle"]
        ratios[f"{name}_overhead"] = counting / (settle - counting)
    return Speed(seconds, f"per settle of {batch} images, {steps} steps", ratios, clock="processor")


def _states(machine: Digital, images: object) -> list[Tensor]:
    """Input and end of a settle: what a step has to count."""
    settled = machine.settle(images)  # type: ignore[arg-type]
    codes = torch.as_tensor(machine.circuit.encode(images))  # type: ignore[arg-type]
    return [codes, *(torch.as_tensor(state) for state in settled.states)]


def count_all(machine: Digital, states: list[Tensor], steps: int) -> None:
    """Count every step of a settle as the machine does, and make its ledger."""
    counters = machine.dynamics.counters(steps)
    sent = [states[0], *(state.clone() for state in states[1:])]
    for step in range(steps):
        machine.dynamics.count(counters[:, step], states, sent, None)
    machine.dynamics.ledger(counters, torch.full((steps,), len(states[0])).numpy(), len(states[0]))
