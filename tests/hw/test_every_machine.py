"""What every machine owes its users, tested on every machine of `helpers.machines`.

One machine with batches of two serves most tests of its kind, since some take seconds to start; another one answers one
image at a time, and is left by an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from helpers.machines import MACHINES, STEPS, TOLERANCE, Example
from helpers.naive import Run, flat, recounted, scores, settle
from helpers.sessions import Session, watched_session
from numpy.typing import NDArray

from hw.circuit import weights_of
from hw.ledger import Ledger, merge
from hw.machine import Machine, Settled, concatenate
from mapping.circuit import circuit_of

LONG = 400
"""Steps after which the naive run is at its equilibrium."""


@dataclass(frozen=True)
class Case:
    """A machine that runs, and its answer to the images of its example."""

    example: Example
    machine: Machine
    settled: Settled
    naive: Run


class BrokenError(Exception):
    """Stands for whatever goes wrong in the hands of a user."""


@pytest.fixture(scope="module", params=MACHINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def case(name: str) -> Iterator[Case]:
    example = MACHINES[name]
    steps, tolerance = (STEPS, TOLERANCE) if example.clocked else (LONG, None)
    naive = settle(example.source, example.images, steps, tolerance=tolerance)
    with watched_session() as session:
        with example.make(batch_size=2) as machine:
            machine.settle(example.images[:2], trace=True)  # the first ledger of a die also holds its programming
            yield Case(example, machine, machine.settle(example.images, trace=True), naive)
        session.assert_nothing_left()


@pytest.fixture(scope="module")
def one_by_one(name: str) -> Iterator[tuple[Settled, Session]]:
    """The answers of a machine that takes one image at a time; an error then leaves its context."""
    example, answers = MACHINES[name], []

    def break_off(session: Session) -> None:
        with example.make(batch_size=1) as machine:
            answers.extend(machine.settle(image[None], trace=True) for image in example.images)
            session.remember()
            raise BrokenError

    with watched_session() as session:
        with pytest.raises(BrokenError):
            break_off(session)
        yield concatenate(answers), session


def assert_same_answers(ours: Settled, theirs: Settled, atol: float = 0.0) -> None:
    """All that is answered, image by image."""
    assert ours.one == theirs.one
    assert ours.trace is not None
    assert theirs.trace is not None
    for mine, other in zip((*ours.states, *ours.trace), (*theirs.states, *theirs.trace), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=0, atol=atol)
    for part in ("logits", "logits_by_step", "residual"):
        np.testing.assert_allclose(getattr(ours, part), getattr(theirs, part), rtol=0, atol=atol, err_msg=part)
    for part in ("steps", "times_s", "rest_s"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part), err_msg=part)


def counts(ledger: Ledger) -> dict[str, Any]:
    """Every number of a ledger by name, apart from what was written to a die before."""
    found: dict[str, Any] = {"images": ledger.images}
    for part in ("messages", "tiles", "arithmetic", "analog"):
        events = getattr(ledger, part)
        for field in () if events is None else fields(events):
            value = getattr(events, field.name)
            named = value if isinstance(value, Mapping) else {"": value}
            found |= {f"{part}.{field.name}{key}": entry for key, entry in named.items() if field.name != "written"}
    return found


def assert_same_counts(ours: Ledger, theirs: Ledger) -> None:
    """Counts are integers, joules are sums in another order."""
    mine, others = counts(ours), counts(theirs)
    assert mine.keys() == others.keys()
    for name, value in mine.items():
        if isinstance(value, np.ndarray | float):
            np.testing.assert_allclose(value, others[name], rtol=1e-12, err_msg=name)
        else:
            assert value == others[name], name


# answers


def test_answers_are_those_of_the_equations(case: Case) -> None:
    """At every step of machines with a clock, at rest of all."""
    settled, naive, atol = case.settled, case.naive, case.example.atol
    assert settled.trace is not None
    for ours, expected in zip(settled.trace, naive.trace, strict=True):
        # dividing by `one` is exact enough, but integers are compared as such
        rows = slice(None) if case.example.clocked else slice(-1, None)
        np.testing.assert_allclose(flat(ours)[rows], expected[rows], rtol=0, atol=atol)
    rows = slice(None) if case.example.clocked else slice(-1, None)
    np.testing.assert_allclose(settled.logits_by_step[rows], naive.scores[rows], rtol=1e-12, atol=atol or 1e-12)
    if case.example.clocked:
        np.testing.assert_array_equal(settled.steps, naive.steps)  # type: ignore[arg-type]
        np.testing.assert_allclose(settled.residual, naive.residual, rtol=1e-12, atol=atol)
        assert len(set(naive.steps)) > 1, "the test wants images that rest at different steps"


def test_states_scores_and_rest_are_those_of_the_trace(case: Case) -> None:
    settled, source = case.settled, case.example.source
    assert settled.trace is not None
    for layer, last in zip(settled.trace, settled.states, strict=True):
        np.testing.assert_array_equal(layer[-1], last)
    np.testing.assert_array_equal(settled.logits_by_step[-1], settled.logits)
    top = flat(settled.trace[-1])
    top = top.astype(np.int64 if settled.one > 1 else np.float64)
    read = np.stack([scores(source, row) for row in top])
    np.testing.assert_allclose(settled.logits_by_step, read, rtol=1e-12, atol=case.example.atol or 1e-12)
    states = np.concatenate([flat(layer) for layer in settled.trace], axis=2).astype(np.float64) / settled.one
    moved = np.abs(np.diff(states, axis=0, prepend=0.0)).max(axis=2)  # (T, B)
    images = range(states.shape[1])
    if settled.steps is not None:
        for image, steps in zip(images, settled.steps, strict=True):
            assert (moved[: steps - 1, image] > TOLERANCE).all()
            assert moved[steps - 1, image] == pytest.approx(settled.residual[image], abs=1e-6)
            assert (moved[steps:, image] == 0).all(), "an image at rest is held"
    else:
        assert settled.rest_s is not None
        np.testing.assert_allclose(settled.residual, moved[-1], rtol=1e-12)
        for image, rest_s in zip(images, settled.rest_s, strict=True):
            after = settled.times_s >= rest_s  # type: ignore[operator]
            assert after.any()
            assert np.abs(states[after, image] - states[-1, image]).max() <= TOLERANCE


def test_batches_and_what_was_settled_before_change_nothing(case: Case) -> None:
    """A ledger of two settles is that of one; batches of two are the same batches here, and equal in every bit."""
    images = case.example.images
    parts = [case.machine.settle(part, trace=True) for part in (images[:2], images[2:])]
    assert_same_answers(concatenate(parts), case.settled)
    assert_same_counts(merge([part.ledger for part in parts]), case.settled.ledger)
    turned = case.machine.settle(images[::-1].copy(), trace=True)
    there = [turned.logits, turned.residual, *turned.states]
    here = [case.settled.logits, case.settled.residual, *case.settled.states]
    for ours, theirs in zip(there, here, strict=True):
        np.testing.assert_allclose(ours[::-1], theirs, rtol=0, atol=case.example.atol)


def test_one_image_at_a_time_is_the_batch(case: Case, one_by_one: tuple[Settled, Session]) -> None:
    alone, _ = one_by_one
    assert_same_answers(alone, case.settled, case.example.atol)
    ours, theirs = alone.ledger.messages, case.settled.ledger.messages
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        # floats of other batches differ in the last bit, and with them what has changed
        for part in ("running", "dense", *(() if case.example.atol else ("zero_skip", "delta"))):
            np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part), err_msg=part)
        assert ours.readout_synops == theirs.readout_synops


def test_two_threads_on_one_machine_get_their_own_answers_and_counts(case: Case) -> None:
    images = case.example.images
    shares, start = (images[:2], images[2:]), Barrier(2)
    alone = [case.machine.settle(share, trace=True) for share in shares]

    def settle_thrice(share: NDArray[Any]) -> list[Settled]:
        start.wait()
        return [case.machine.settle(share, trace=True) for _ in range(3)]

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(settle_thrice, shares))
    for answers, expected in zip(together, alone, strict=True):
        for answer in answers:
            assert_same_answers(answer, expected)
            assert_same_counts(answer.ledger, expected.ledger)


# counts


def test_messages_are_counted_from_the_states(case: Case) -> None:
    """Every coding, step and layer: counted again by loops, from the states that the machine itself passed through."""
    settled, example = case.settled, case.example
    messages = settled.ledger.messages
    assert settled.ledger.images == len(example.images)
    if not example.recountable:
        assert messages is not None
        return
    if messages is None:
        assert settled.steps is None, "a machine with a clock counts what it sends"
        return
    assert settled.trace is not None
    # what settles in continuous time runs until the last time
    images, rows = len(example.images), len(settled.logits_by_step)
    steps = np.full(images, rows) if settled.steps is None else settled.steps
    for coding, expected in recounted(example.source, example.images, settled.trace, steps).items():
        np.testing.assert_array_equal(messages.events(coding), expected, err_msg=coding)  # type: ignore[arg-type]
    running = np.full(rows, images) if settled.steps is None else case.naive.running().sum(axis=1)
    np.testing.assert_array_equal(messages.running, running)
    shapes = [example.source.links[0].below, *(link.above for link in example.source.links)]
    assert messages.units == tuple(int(np.prod(shape)) for shape in shapes)
    assert messages.cores == tuple(-(-units // 1024) for units in messages.units)
    kinds = ["dense" if link.weight.ndim == 2 else "conv" for link in example.source.links]
    assert messages.link_kinds == tuple(kinds)
    readout = example.source.readout
    assert messages.readout_synops == (0 if readout is None else np.prod(readout.weight.shape) * len(example.images))


# manners


def test_images_that_no_machine_reads_are_named_before_anything_starts(name: str) -> None:
    example = MACHINES[name]
    images = example.images
    shapes = r"images are \([\d, ]+\), the machine reads \([\d, ]+\)"
    wrong = [(images.swapaxes(2, 3), shapes), (images[0, 0], shapes), (images[:0], "no images: the batch is empty")]
    for value in (float("nan"), float("inf"), -0.5, 1.5):
        changed = images.copy()
        changed[2, 0, 1, 2] = value
        wrong.append((changed, rf"in \[0, 1\]: image 2 holds {value} at \(0, 1, 2\)"))
    with watched_session() as session, example.make(batch_size=2) as machine:
        for batch, says in wrong:
            with pytest.raises(ValueError, match=says):
                machine.settle(batch)
        assert session.processes() == []


@pytest.mark.parametrize("name", [name for name, example in MACHINES.items() if example.learns])
def test_before_learning_the_weights_are_those_of_the_circuit(name: str) -> None:
    example = MACHINES[name]
    with example.make(batch_size=2) as machine:
        ours, theirs = machine.read_weights(), weights_of(circuit_of(example.source))  # type: ignore[attr-defined]
    for mine, other in zip((*ours.weights, *ours.biases), (*theirs.weights, *theirs.biases), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=example.atol / 10)


def test_an_error_leaves_no_process_and_no_memory_behind(one_by_one: tuple[Settled, Session]) -> None:
    one_by_one[1].assert_nothing_left()
