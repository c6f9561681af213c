"""What the digital machine refuses to learn from, before anything changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.digital_learning import phases_of, program_by, rule_for
from helpers.learning_examples import SHAPE, assert_same_weights, example, stripes
from numpy.typing import NDArray

from hw.learning.rule import Descent, LearningRule
from mapping.machines import to_digital


def _bad_descents() -> list[tuple[str, Any, str]]:
    many, few = Descent((0.1,) * 5, (0.1,) * 5, (0.0,) * 5, (0.0,) * 5), Descent((0.1,), (0.1,), (0.0,), (0.0,))
    return [
        ("too many rates", many, "5 learning rates for 4 links, readout included"),
        ("too few rates", few, "1 learning rates for 4 links, readout included"),
    ]


@pytest.mark.parametrize(("descent", "message"), [case[1:] for case in _bad_descents()], ids=["many", "few"])
def test_rates_that_do_not_fit_are_refused(descent: Descent, message: str) -> None:
    network, (images, labels) = example("average pool"), stripes(4)
    with pytest.raises(ValueError, match=message):
        to_digital(network, steps=1).learn(images, labels, LearningRule(phases_of(), descent))


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_of_nothing_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}, must be at least 1"):
        rule_for(example("average pool"), batch_size)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 2]), r"labels have shape \(3,\), expected \(4,\): one per image"),
        (np.array([[0], [1], [2], [0]]), r"labels have shape \(4, 1\), expected \(4,\)"),
        (np.array([0, 1, 3, 2]), "labels are 0 to 3, the circuit has classes 0 to 2"),
        (np.array([0, 1, -1, 2]), "labels are -1 to 2, the circuit has classes 0 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_anything_changes(labels: NDArray[np.int64], message: str) -> None:
    network, (images, _) = example("average pool"), stripes(4)
    machine = to_digital(network, steps=1)
    before = machine.read_weights()
    with pytest.raises(ValueError, match=message):
        machine.learn(images, labels, rule_for(network, 2))
    assert_same_weights(machine.read_weights(), before)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 1, 5, 6), np.float32), r"images are \(1, 5, 6\), the machine reads \(1, 6, 5\)"),
        (np.zeros((0, *SHAPE), np.float32), "no images"),
        (np.full((4, *SHAPE), 1.5, np.float32), r"must lie in \[0, 1\]: image 0"),
    ],
    ids=["shape", "empty", "range"],
)
def test_images_that_no_machine_reads_are_refused(images: NDArray[np.float32], message: str) -> None:
    network = example("average pool")
    with pytest.raises(ValueError, match=message):
        to_digital(network, steps=1).learn(images, np.zeros(len(images), np.int64), rule_for(network))


def test_an_image_out_of_range_in_the_last_batch_changes_nothing() -> None:
    network, (images, labels) = example("average pool"), stripes(8)
    images[7, 0, 2, 2] = float("nan")
    machine = to_digital(network, steps=1)
    before = machine.read_weights()
    with pytest.raises(ValueError, match="image 7 holds nan"):
        machine.learn(images, labels, rule_for(network))
    assert_same_weights(machine.read_weights(), before)


def test_nudges_and_momentum_that_a_machine_cannot_take_are_refused() -> None:
    squared, (images, labels) = example("dense squared error"), stripes(4)
    with pytest.raises(ValueError, match=r"beta -1.5 cannot be applied"):
        to_digital(squared, steps=1).learn(images, labels, rule_for(squared, phases=phases_of(beta=1.5)))
    program = program_by(squared)
    with pytest.raises(ValueError, match=r"momentum is 0.5"):
        to_digital(program, steps=1).learn(images, labels, rule_for(program, momentum=0.5))
