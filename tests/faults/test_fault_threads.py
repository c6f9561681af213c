"""Four threads on one machine: every one is answered, and told the counts, of its own images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers.machines import MACHINES, Example, clocked, dense_network

from hw.brian.options import Simulation
from hw.machine import Settled
from mapping.machines import to_brian

THREADS = 4
SETTLES = {"resistive analog": 4_000, "brian rate": 1_000}
"""Of machines that solve differential equations, which take a hundred times as long as a step of the others; of all
others MANY."""
MANY = 100_000
TINY = dense_network((1, 2, 3), (5,), (3,))
BRIEF = partial(to_brian, TINY, duration_tau=1.0, simulation=Simulation(dt_tau=0.5, linear="operator"))
SMALL = {
    **clocked(TINY, {"steps": 2}),
    "resistive analog": MACHINES["resistive analog"],
    "brian rate": Example(TINY, BRIEF, atol=1e-5, clocked=False),
}
"""Machines of a network so small that what is done around a settle, where threads could meet, is most of it."""


def told(settled: Settled) -> list[Any]:
    """Answer and ledger as plain numbers."""
    ledger = settled.ledger
    counts = [repr(getattr(ledger, field.name)) for field in fields(ledger) if field.name != "messages"]
    messages = [] if ledger.messages is None else [getattr(ledger.messages, f.name) for f in fields(ledger.messages)]
    return [settled.logits.tolist(), counts, [np.asarray(value).tolist() for value in messages[3:7]]]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_four_threads_are_answered_as_one(name: str) -> None:
    example, settles = SMALL[name], SETTLES.get(name, MANY)
    with example.make(batch_size=1) as machine:
        machine.settle(example.images[:1])  # the first ledger of a die also holds its programming
        alone = [told(machine.settle(image[None])) for image in example.images[:THREADS]]

        def settle(thread: int) -> int:
            images = example.images[thread][None]
            return sum(told(machine.settle(images)) != alone[thread] for _ in range(settles // THREADS))

        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(settle, range(THREADS))) == 0
