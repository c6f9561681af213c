"""What counting costs a settle: `python -m bench.speed ledger`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.evaluate import one_thread_each
from bench.speed.counting import BRIAN, CROSSBAR, RESISTIVE, TORCH, session_s, shares
from bench.speed.timing import Speed, check_counts
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.machine import Settled
from mapping.machines import to_brian, to_crossbar, to_digital, to_lava, to_resistive
from mapping.quantization import quantize
from models.zoo import load_model

Images = NDArray[np.float32]
FEWER = {"cifar": 8, "resistive": 4, "brian": 8}
"""How many times fewer images settle together, where one of them takes so much longer or room is scarce."""
LAVA_CALLS = 4
"""Settles that are measured at once: processor time of other processes is told in ticks of 10 ms."""


def speed_ledger(batch: int = 256, steps: int = 20, repeats: int = 9) -> Speed:
    """Settling with its ledger, and the counting in it, on every machine that has one.

    seconds: per settle of `batch` images, of larger machines a part of them. `NAME_overhead` is counting over all else,
    the share by which a ledger makes settling longer. What a machine does for its ledger alone is timed while it
    settles; of Lava, whose processes are others, the counting of all layers is done again here, and all processor time
    of its graph is that of the settle. Images are drawn, since a count takes as long whatever it counts.
    """
    check_counts(batch=batch, steps=steps, repeats=repeats)
    found: dict[str, tuple[float, float]] = {}
    with one_thread_each():
        for name, (machine, images, places) in _machines(batch, steps).items():
            with machine:
                found[name] = shares(partial(machine.settle, images), places, repeats)
        for precision, threshold in (("fixed", None), ("delta", 1)):
            found[f"lava_{precision}"] = _on_lava(batch, steps, threshold, repeats)
    seconds: dict[str, float] = {}
    for name, (settling, counting) in found.items():
        seconds |= {f"{name}_settle": settling, f"{name}_counting": counting}
    ratios = {f"{name}_overhead": counting / (settling - counting) for name, (settling, counting) in found.items()}
    return Speed(seconds, f"per settle of {batch} images, {steps} steps", ratios, clock="processor")


def _machines(batch: int, steps: int) -> dict[str, tuple[Any, Images, tuple[tuple[str, str], ...]]]:
    """Machines that settle in this process, what they are shown, and what they do for their ledgers."""
    digits, cifar, resistors = (load_model(name) for name in ("digits", "hw-cifar10-small", "drn-digits"))

    def some(name: str, shape: tuple[int, ...]) -> Images:
        return _drawn(max(1, batch // FEWER.get(name, 1)), shape)

    die = Fabrication(preset("pcm-nandakumar-2019"), Design(input_bits=8, adc_bits=8))
    crossbar = to_crossbar(digits, die, steps=steps, batch_size=batch)
    crossbar.worst_ranges()
    made: dict[str, tuple[Any, Images, tuple[tuple[str, str], ...]]] = {
        "digits": (to_digital(digits, steps=steps, batch_size=batch), some("digits", digits.input_shape), TORCH),
        "cifar": (to_digital(cifar, steps=steps, batch_size=batch), some("cifar", cifar.input_shape), TORCH),
        "crossbar": (crossbar, some("crossbar", digits.input_shape), CROSSBAR),
        "resistive": (to_resistive(resistors, batch_size=batch), some("resistive", resistors.input_shape), RESISTIVE),
    }
    if find_spec("brian2") is not None:
        from hw.brian.options import SigmaDelta

        spikes = to_brian(digits, duration_tau=steps, scheme=SigmaDelta(), batch_size=batch)
        made["brian"] = (spikes, some("brian", digits.input_shape), BRIAN)
    return made


def _drawn(count: int, shape: tuple[int, ...]) -> Images:
    images: Images = np.random.default_rng(0).random((count, *shape)).astype(np.float32)
    return images


def _on_lava(batch: int, steps: int, threshold: int | None, repeats: int) -> tuple[float, float]:
    """Processor seconds of all processes of a graph, and of the counting in its layers."""
    network = load_model("digits")
    images = _drawn(batch, network.input_shape)
    program = quantize(network, torch.as_tensor(images), steps=steps)
    with to_lava(program, steps=steps, batch_size=batch, delta_threshold=threshold) as machine:
        settled = machine.settle(images)
        session, taken = machine.host_pid or 0, []
        for _ in range(repeats):
            before = session_s(session)
            for _ in range(LAVA_CALLS):
                machine.settle(images)
            taken.append((session_s(session) - before) / LAVA_CALLS)
        count = count_all(machine, settled, steps)
    found = []
    for _ in range(repeats):
        start = time.process_time()
        count()
        found.append(time.process_time() - start)
    return min(taken), min(found)


def count_all(machine: Any, settled: Settled, steps: int) -> Callable[[], list[NDArray[np.float64]]]:
    """The counting of all layers of a Lava graph in a settle that ended so, by their own model of a process; gives
    the events (2, steps, columns, B) of each."""
    from hw.lava.graph import traffic_tables
    from hw.lava.processes.layer import PyLayerFixed

    count_of: Any = PyLayerFixed.count
    layers = []
    for state, table in zip(settled.states, traffic_tables(machine.circuit)[1:], strict=True):
        last_axis = np.ascontiguousarray(np.moveaxis(state, 0, -1)).astype(np.int16)
        before = last_axis // 2
        events = np.zeros((2, steps, len(table), state.shape[0]))
        layers.append(
            SimpleNamespace(
                state=last_axis,
                last=before,
                events=events,
                proc_params={"traffic": table},
                changed=lambda now=last_axis, then=before: now != then,
            )
        )

    def count() -> list[NDArray[np.float64]]:
        for tick in range(steps):
            for layer in layers:
                count_of(layer, tick)
        return [layer.events for layer in layers]

    return count
