"""The digits network of the zoo on Lava, in all three precisions, on 32 test images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hw.machine import Settled
from mapping.machines import to_digital, to_lava
from mapping.program import Program
from mapping.quantization import quantize
from models.data import load_data
from models.ep.network import EPNetwork
from models.zoo import load_model

STEPS = 20
COUNT = 32


@pytest.fixture(scope="module")
def network() -> EPNetwork:
    return load_model("digits")


@pytest.fixture(scope="module")
def program(network: EPNetwork) -> Program:
    """Calibrated on training images."""
    return quantize(network, load_data("digits").train.floats()[:200])


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return load_data("digits").test.floats()[:COUNT].numpy()


def _on(source: EPNetwork | Program, images: NDArray[np.float32], delta_threshold: int | None) -> Settled:
    with to_lava(source, steps=STEPS, batch_size=16, delta_threshold=delta_threshold) as machine:
        return machine.settle(images, trace=True)


def _share_right(settled: Settled) -> float:
    labels = load_data("digits").test.labels[:COUNT].numpy()
    return float((settled.logits.argmax(axis=1) == labels).mean())


def test_floats(network: EPNetwork, images: NDArray[np.float32]) -> None:
    with to_digital(network, steps=STEPS) as reference:
        digital = reference.settle(images, trace=True)
    settled = _on(network, images, None)
    assert settled.trace is not None
    assert digital.trace is not None
    for ours, theirs in zip(settled.trace, digital.trace, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(settled.logits_by_step, digital.logits_by_step, atol=1e-4)
    assert _share_right(settled) >= 0.9


@pytest.mark.parametrize("delta_threshold", [None, 1], ids=["fixed", "delta"])
def test_integers(program: Program, images: NDArray[np.float32], delta_threshold: int | None) -> None:
    with to_digital(program, steps=STEPS) as reference:
        digital = reference.settle(images, trace=True)
    settled = _on(program, images, delta_threshold)
    assert settled.trace is not None
    assert digital.trace is not None
    for ours, theirs in zip(settled.trace, digital.trace, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(settled.logits_by_step, digital.logits_by_step)
    for coding in ("dense", "zero_skip", "delta"):
        np.testing.assert_array_equal(settled.ledger.messages.events(coding), digital.ledger.messages.events(coding))
    assert _share_right(settled) >= 0.9
