"""Genuine Lava runs against the digital reference: floats within rounding, integers in every bit, ledgers alike.

Starting a Lava graph takes seconds, so every example settles several batches twice on one machine.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from helpers.naive import events, flat, recounted, settle, tables
from helpers.random_nets import mixed_network, networks, program_of, random_images, restless_winners
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.lava.hosting import Hosting
from hw.lava.machine import Lava
from hw.machine import Settled
from mapping.machines import to_digital, to_lava
from mapping.program import STATE_BITS, Program
from models.ep.network import EPNetwork

STEPS = 10
# no shrinking: every attempt would start Lava processes
FEW = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=30)
SMALL = networks(largest=5)
IMAGES, BATCH_SIZES = st.integers(1, 5), st.integers(1, 4)


@contextmanager
def _on_lava(source: EPNetwork | Program, **options: Any) -> Iterator[Lava]:
    """A Lava machine that is closed while the test goes on: ending its processes is mostly waiting."""
    machine = to_lava(source, **options)
    try:
        yield machine
    finally:
        threading.Thread(target=machine.close).start()


def _image_sets(shape: tuple[int, ...], count: int, seed: int) -> list[NDArray[Any]]:
    sets = [random_images(shape, count, seed), random_images(shape, count, seed + 1)]
    sets[1][0] = 0.0  # a black image: it comes to rest long before the others
    return sets


def _assert_geometry_of(settled: Settled, digital: Settled) -> None:
    assert settled.one == digital.one
    assert settled.ledger.images == digital.ledger.images
    for name in ("units", "cores", "link_kinds", "readout_synops"):
        assert getattr(settled.ledger.messages, name) == getattr(digital.ledger.messages, name), name
    assert settled.ledger.arithmetic is None, "a neuromorphic machine has no clocked multipliers"
    np.testing.assert_array_equal(settled.steps, digital.steps)
    np.testing.assert_array_equal(settled.ledger.messages.running, digital.ledger.messages.running)
    np.testing.assert_array_equal(settled.ledger.messages.dense, digital.ledger.messages.dense)


def _check_floats(network: EPNetwork, tolerance: float | None, seed: int, count: int, batch_size: int) -> None:
    with _on_lava(network, steps=STEPS, batch_size=batch_size, tolerance=tolerance) as machine:
        for images in _image_sets(network.input_shape, count, seed):
            settled = machine.settle(images, trace=True)
            with to_digital(network, steps=STEPS, tolerance=tolerance) as reference:
                digital = reference.settle(images, trace=True)
            assert settled.trace is not None
            assert digital.trace is not None
            for ours, theirs in zip((*settled.trace, *settled.states), (*digital.trace, *digital.states), strict=True):
                assert ours.dtype == np.float32
                np.testing.assert_allclose(ours, theirs, atol=1e-5)
            np.testing.assert_allclose(settled.logits_by_step, digital.logits_by_step, atol=1e-5)
            np.testing.assert_array_equal(settled.logits, settled.logits_by_step[-1])
            np.testing.assert_allclose(settled.residual, digital.residual, atol=1e-5)
            _assert_geometry_of(settled, digital)
            _assert_counted_from_its_own_states(network, settled, images)


def _assert_counted_from_its_own_states(network: EPNetwork, settled: Settled, images: NDArray[Any]) -> None:
    assert settled.trace is not None
    assert settled.steps is not None
    messages = settled.ledger.messages
    assert messages is not None
    expected = recounted(network, images, settled.trace, settled.steps)
    np.testing.assert_array_equal(messages.zero_skip, expected["zero_skip"])
    np.testing.assert_array_equal(messages.delta, expected["delta"])
    assert messages.coding == "zero_skip"


def _check_integers(
    network: EPNetwork,
    state_bits: int,
    delta_threshold: int | None,
    tolerance: float | None,
    seed: int,
    count: int,
    batch_size: int,
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    options = {"steps": STEPS, "batch_size": batch_size, "tolerance": tolerance}
    with _on_lava(program, delta_threshold=delta_threshold, **options) as machine:
        for images in _image_sets(network.input_shape, count, seed):
            settled = machine.settle(images, trace=True)
            with to_digital(program, steps=STEPS, tolerance=tolerance) as reference:
                digital = reference.settle(images, trace=True)
            assert settled.trace is not None
            assert digital.trace is not None
            for ours, theirs in zip((*settled.trace, *settled.states), (*digital.trace, *digital.states), strict=True):
                assert np.issubdtype(ours.dtype, np.integer)
                np.testing.assert_array_equal(ours, theirs)
            for name in ("logits", "logits_by_step", "residual"):
                np.testing.assert_array_equal(getattr(settled, name), getattr(digital, name), err_msg=name)
            _assert_geometry_of(settled, digital)
            np.testing.assert_array_equal(settled.ledger.messages.zero_skip, digital.ledger.messages.zero_skip)
            np.testing.assert_array_equal(settled.ledger.messages.delta, digital.ledger.messages.delta)
            assert settled.ledger.messages.coding == ("zero_skip" if delta_threshold is None else "delta")


floats = given(
    networks(pooling=("none", "average", "max"), largest=5),
    st.sampled_from([None, 0.01]),
    st.integers(0, 2**20),
    IMAGES,
    BATCH_SIZES,
)
integers = given(
    SMALL,
    st.sampled_from(STATE_BITS),
    st.sampled_from([None, 0.0, 0.02]),
    st.integers(0, 2**20),
    IMAGES,
    BATCH_SIZES,
)


@FEW
@floats
@example(restless_winners(), None, 3, 3, 3)
def test_floats_are_those_of_the_digital_machine_at_every_step(
    network: EPNetwork, tolerance: float | None, seed: int, count: int, batch_size: int
) -> None:
    _check_floats(network, tolerance, seed, count, batch_size)


@FEW
@integers
def test_fixed_point_is_exact_in_every_bit(
    network: EPNetwork, state_bits: int, tolerance: float | None, seed: int, count: int, batch_size: int
) -> None:
    _check_integers(network, state_bits, None, tolerance, seed, count, batch_size)


@FEW
@integers
@example(mixed_network(), 5, None, 4, 4, 3)
def test_delta_coding_is_exact_in_every_bit(
    network: EPNetwork, state_bits: int, tolerance: float | None, seed: int, count: int, batch_size: int
) -> None:
    """Sending every change gives the states of sending every state, and the counts of the digital machine."""
    _check_integers(network, state_bits, 1, tolerance, seed, count, batch_size)


@pytest.mark.slow
@MANY
@floats
def test_floats_on_many_more_networks(
    network: EPNetwork, tolerance: float | None, seed: int, count: int, batch_size: int
) -> None:
    _check_floats(network, tolerance, seed, count, batch_size)


@pytest.mark.slow
@pytest.mark.parametrize("delta_threshold", [None, 1])
@MANY
@integers
def test_integers_on_many_more_networks(
    delta_threshold: int | None,
    network: EPNetwork,
    state_bits: int,
    tolerance: float | None,
    seed: int,
    count: int,
    batch_size: int,
) -> None:
    _check_integers(network, state_bits, delta_threshold, tolerance, seed, count, batch_size)


@pytest.mark.parametrize(("threshold", "tolerance"), [(2, None), (3, 0.02)])
def test_thresholded_delta_coding_sends_only_larger_changes(threshold: int, tolerance: float | None) -> None:
    """Neighbours see what was sent last; a state is sent again when it is `threshold` codes away from that."""
    program = program_of(mixed_network(), state_bits=7, seed=5)
    images = np.rint(random_images((2, 7, 6), 5, 7) * 12) * 10 / 127  # codes 0, 10, ...: the input is sent as it is
    naive = settle(program, images, STEPS, threshold=threshold, tolerance=tolerance)
    exact = settle(program, images, STEPS, tolerance=tolerance)
    assert any((ours != theirs).any() for ours, theirs in zip(naive.trace, exact.trace, strict=True))
    options = {"steps": STEPS, "batch_size": 3, "tolerance": tolerance}
    with _on_lava(program, delta_threshold=threshold, **options) as machine:
        settled = machine.settle(images, trace=True)
    assert settled.trace is not None
    for ours, expected in zip(settled.trace, naive.trace, strict=True):
        np.testing.assert_array_equal(flat(ours), expected)
    np.testing.assert_allclose(settled.logits_by_step, naive.scores, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(settled.steps, naive.steps)
    for name, counted in events(naive, tables(program)).items():
        np.testing.assert_array_equal(settled.ledger.messages.events(name), counted, err_msg=name)  # type: ignore[arg-type]


def test_one_machine_takes_any_number_of_images_and_reports_progress() -> None:
    """Batches are made equal and the last one padded; another batch size or a trace restarts the graph unseen."""
    program, seen = program_of(mixed_network(), state_bits=8, seed=2), []
    images = random_images((2, 7, 6), 5, 1)
    with to_digital(program, steps=6) as reference:
        expected = reference.settle(images)

    def progress(done: int, of: int) -> None:
        seen.append((done, of))

    with to_lava(program, steps=6, batch_size=2, delta_threshold=1, hosting=Hosting(progress=progress)) as machine:
        first = machine.settle(images)
        again = machine.settle(images[:4])  # two batches of two, on the same graph
        machine.close()
        single = machine.settle(images[3:4])
    assert seen == [(1, 3), (2, 3), (3, 3), (1, 2), (2, 2), (1, 1)]
    np.testing.assert_array_equal(first.logits, expected.logits)
    np.testing.assert_array_equal(again.logits, expected.logits[:4])
    np.testing.assert_array_equal(single.logits, expected.logits[3:4])
    assert first.trace is None
    assert first.ledger.images == 5


def test_importing_the_machine_imports_no_lava_and_no_torch() -> None:
    script = (
        "import sys, hw.lava.machine, hw.lava.messages\n"
        "print([name for name in ('lava', 'torch') if any(m.split('.')[0] == name for m in sys.modules)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_lava_cannot_run_is_refused_before_anything_starts() -> None:
    network = mixed_network()
    program = program_of(network, state_bits=4, seed=2)
    with pytest.raises(ValueError, match="delta coding needs integer states"):
        to_lava(network, steps=3, delta_threshold=1)
    for threshold in (0, 16):
        with pytest.raises(ValueError, match=rf"delta_threshold is {threshold}, must be 1 to 15"):
            to_lava(program, steps=3, delta_threshold=threshold)
    for steps, batch_size in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match=rf"steps is {steps} and batch_size {batch_size}"):
            to_lava(program, steps=steps, batch_size=batch_size)
