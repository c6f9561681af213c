"""Four threads on one machine: every one is answered, and told the counts, of its own images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from helpers.machines import clocked, dense_network

from hw.machine import Settled

SETTLES, THREADS = 100_000, 4
SMALL = clocked(dense_network((1, 2, 3), (5,), (3,)), {"steps": 2})
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
    example = SMALL[name]
    with example.make(batch_size=1) as machine:
        machine.settle(example.images[:1])  # the first ledger of a die also holds its programming
        alone = [told(machine.settle(image[None])) for image in example.images[:THREADS]]

        def settle(thread: int) -> int:
            images = example.images[thread][None]
            return sum(told(machine.settle(images)) != alone[thread] for _ in range(SETTLES // THREADS))

        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(settle, range(THREADS))) == 0
