"""`python -m bench.speed ledger`: counting takes a fraction of settling, and counts what the machine counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.speed.ledger import _states, count_all, speed_ledger
from mapping.machines import to_digital
from models.zoo import load_model


def test_what_is_timed_is_the_count_of_a_step() -> None:
    """The replay counts the end of the settle, which sends as many as its last step did."""
    machine = to_digital(load_model("digits"), steps=3, batch_size=300)
    images = np.random.default_rng(0).random((300, 1, 8, 8)).astype(np.float32)
    states, (counters, _) = _states(machine, images), (machine.dynamics.counters(1), None)
    machine.dynamics.count(counters[:, 0], states, [torch.zeros_like(state) for state in states], None)
    for layer, state in enumerate(states):
        active = (state != 0).sum(dim=0).flatten().double()
        expected = active @ machine.dynamics.traffic[layer]
        torch.testing.assert_close(counters[1, 0, layer], expected)
        torch.testing.assert_close(counters[2, 0, layer], expected)
    count_all(machine, states, 3)


@pytest.mark.slow
def test_counting_takes_less_than_a_tenth_of_settling() -> None:
    speed = speed_ledger()
    assert max(speed.ratios.values()) < 0.1
