"""Dies that settle together against each of them alone: the same devices and draws, other code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.resistive_dies import dies
from numpy.typing import NDArray

from hw.ledger import merge
from hw.machine import Settled, concatenate
from hw.resistive import settling
from hw.resistive.die import Mismatch
from hw.resistive.dies import ResistiveDies

IMAGES: NDArray[np.float32] = np.random.default_rng(3).random((7, 1, 3, 2), np.float32)


def assert_same(together: Settled, alone: list[Settled], atol: float = 1e-8) -> None:
    each = concatenate(alone)
    for name in ("logits", "logits_by_step", "residual"):
        np.testing.assert_allclose(getattr(together, name), getattr(each, name), atol=atol, err_msg=name)
    for ours, theirs in zip(together.states, each.states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol)
    np.testing.assert_array_equal(together.rest_s, each.rest_s)
    ours, theirs = together.ledger.analog, merge([one.ledger for one in alone]).analog
    assert ours is not None
    assert theirs is not None
    assert ours.energy_j == pytest.approx(theirs.energy_j, rel=1e-7, abs=1e-25)
    assert ours.settled_s == pytest.approx(theirs.settled_s)


@pytest.mark.parametrize(
    ("mismatch", "hidden"), [(Mismatch(), (8,)), (Mismatch(0.02, 2e-3), (6, 5))], ids=["devices", "amplifiers"]
)
def test_dies_together_answer_as_each_alone(mismatch: Mismatch, hidden: tuple[int, ...]) -> None:
    alone, together = dies(mismatch, hidden=hidden), ResistiveDies(dies(mismatch, hidden=hidden))
    for _ in range(2):  # noise is drawn anew, and by each die from its own generator
        assert_same(together.settle(IMAGES), [one.settle(IMAGES) for one in alone])


def test_newton_solves_every_die_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "SWEEPS", 2)
    alone, together = dies(Mismatch(0.02, 2e-3)), ResistiveDies(dies(Mismatch(0.02, 2e-3)))
    assert_same(together.settle(IMAGES[:2]), [one.settle(IMAGES[:2]) for one in alone])


def test_dies_of_other_circuits_are_refused() -> None:
    with pytest.raises(ValueError, match="no dies"):
        ResistiveDies([])
    with pytest.raises(ValueError, match="die 2 is of another circuit"):
        ResistiveDies([*dies(Mismatch(), 1), *dies(Mismatch(), 1, hidden=(9,))])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, torch finds none")
def test_cuda_answers_as_the_cpu_does() -> None:
    there = ResistiveDies(dies(Mismatch(0.02, 2e-3), device="cuda"))
    assert_same(there.settle(IMAGES), [one.settle(IMAGES) for one in dies(Mismatch(0.02, 2e-3))])
