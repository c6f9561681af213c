"""Where learning on devices ends: worn out, driven out of its range, or refused before anything changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.crossbar_learning import crossbar_of, phases_of, rule_for
from helpers.learning_examples import CLASSES, FREE, NUDGED, assert_same_weights, example, stripes
from helpers.random_nets import program_of

from hw.crossbar.fabrication import Fabrication
from hw.crossbar.learning import too_large
from hw.crossbar.updates.mixed import MixedPrecision
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Descent, LearningRule, LearningStoppedError
from mapping.machines import to_crossbar


@pytest.mark.parametrize("endurance", [1.0, 6.0])
def test_a_worn_device_stops_learning_and_what_was_learnt_stays(endurance: float) -> None:
    network, (images, labels) = example("dense squared error"), stripes(40)
    worn, fresh = (crossbar_of(network, device) for device in (replace(IDEAL, endurance=endurance), IDEAL))
    with pytest.raises(LearningStoppedError, match=f"a device of link. has had . writes, ideal stands {endurance:g}"
                       ": stopped") as caught:  # fmt: skip
        worn.learn(images, labels, rule_for(network))
    learned = caught.value.learned
    assert learned is not None
    # every update writes every weight that has a gradient once: it stopped after as many updates as there are writes
    assert learned.images == 4 * endurance
    assert worn.writes().max() == endurance
    fresh.learn(images[: learned.images], labels[: learned.images], rule_for(network))
    assert_same_weights(worn.read_weights(), fresh.read_weights())
    assert learned.ledger.images == learned.images
    assert learned.ledger.tiles is not None
    assert learned.ledger.tiles.written.devices > 0
    # it still settles, with what it learnt
    np.testing.assert_array_equal(worn.settle(images).logits, fresh.settle(images).logits)
    # and is not written again
    with pytest.raises(LearningStoppedError, match="stopped") as caught:
        worn.learn(images, labels, rule_for(network))
    assert caught.value.learned is None
    assert worn.writes().max() == endurance
    assert_same_weights(worn.read_weights(), fresh.read_weights())


def test_a_rate_that_leaves_the_range_at_once_is_refused_before_anything_is_written() -> None:
    network, (images, labels) = example("average pool"), stripes(8)
    machine = crossbar_of(network)
    before = machine.read_weights()
    # the last of the links is the culprit, and the first ones are not written either
    with pytest.raises(LearningStoppedError, match=r"an update of readout would change a weight by .*: use a smaller "
                       "learning rate") as caught:  # fmt: skip
        machine.learn(images, labels, rule_for(network, rates=(0.1, 0.1, 0.1, 1e4)))
    assert caught.value.learned is None
    held = machine.links[-1].matrix.largest
    assert f"its devices hold {-held:g} to {held:g}" in str(caught.value)
    assert_same_weights(machine.read_weights(), before)
    assert not machine.writes().any()


def test_a_rate_that_becomes_too_large_keeps_the_updates_before() -> None:
    """A batch of grey images asks for little, the next one for much."""
    network, (images, labels) = example("dense squared error"), stripes(8, noise=0.0)
    images[:4] = 0.0
    machine, reference = crossbar_of(network, headroom=1.0), crossbar_of(network, headroom=1.0)
    black = max(
        float(np.abs(change).max()) for change in machine.weight_changes(images[:4], labels[:4], rule_for(network))[:1]
    )
    assert black == 0.0
    rule = rule_for(network, rates=(40.0, 0.01, 0.01))
    with pytest.raises(LearningStoppedError, match="an update of link1 would change") as caught:
        machine.learn(images, labels, rule)
    assert caught.value.learned is not None
    assert caught.value.learned.images == 4
    reference.learn(images[:4], labels[:4], rule)
    assert_same_weights(machine.read_weights(), reference.read_weights())


def test_changes_that_are_no_numbers_are_too_large() -> None:
    link = crossbar_of(example("average pool")).links[1]
    change = np.zeros(link.matrix.shape)
    assert too_large("link2", link, change) is None
    # from one end of the range to the other is the most that one update could mean
    change[2, 1] = -2 * link.matrix.largest
    assert too_large("link2", link, change) is None
    for wrong in (-2.01 * link.matrix.largest, float("nan"), float("inf")):
        change[2, 1] = wrong
        assert f"would change a weight by {abs(wrong):g}" in str(too_large("link2", link, change))


def _refused() -> list[tuple[str, dict[str, Any], dict[str, Any], str]]:
    momentum = {"momentum": 0.9}
    decay = {"weight_decay": (0.01,) * 4}
    return [
        ("momentum", {}, momentum, r"momentum 0.9 and weight decay .* both must be 0"),
        ("decay", {}, decay, r"momentum 0.0 and weight decay \(0.01.* both must be 0"),
        ("analog neurons", {"design": replace(EXACT, neurons="analog")}, {}, "learning needs neurons 'digital'"),
        ("slices", {"design": replace(EXACT, weight_bits=5)}, {}, "weight_bits is 5: weights cut into slices"),
        ("no pulses", {"update": MixedPrecision()}, {}, "ideal cannot be written pulse by pulse"),
    ]


@pytest.mark.parametrize(("machine", "rule", "message"), [case[1:] for case in _refused()],
                         ids=[case[0] for case in _refused()])  # fmt: skip
def test_what_a_crossbar_cannot_learn_is_refused_before_anything_changes(
    machine: dict[str, Any], rule: dict[str, Any], message: str
) -> None:
    network, (images, labels) = example("average pool"), stripes(8)
    crossbar = crossbar_of(network, **machine)
    before = crossbar.read_weights()
    with pytest.raises(ValueError, match=message):
        crossbar.learn(images, labels, rule_for(network, **rule))
    assert_same_weights(crossbar.read_weights(), before)


def test_integers_nudges_and_contrasts_that_crossbars_do_not_take_are_refused() -> None:
    network, (images, labels) = example("average pool"), stripes(8)
    program = program_of(network, state_bits=8, seed=0)
    integers = to_crossbar(program, Fabrication(IDEAL, EXACT), steps=1)
    with pytest.raises(ValueError, match="a program's integers cannot learn on a crossbar: give it the network"):
        integers.learn(images, labels, rule_for(network))
    lopsided = UpdatePhases(FREE, NUDGED, (0.0, 0.5, 1.0), (-3.0, 4.0, -1.0))
    with pytest.raises(ValueError, match="do not cancel in twos"):
        crossbar_of(network).learn(images, labels, rule_for(network, phases=lopsided))
    with pytest.raises(ValueError, match=r"beta is 0: the nudge must be positive"):
        phases_of("centered", 0)
    squared = example("dense squared error")
    with pytest.raises(ValueError, match="a nudge of beta -2 cannot be applied"):
        crossbar_of(squared).learn(images, labels, rule_for(squared, phases=phases_of("centered", 2.0)))
    with pytest.raises(ValueError, match="labels are"):
        crossbar_of(network).learn(images, labels + CLASSES, rule_for(network))
    five = Descent((0.1,) * 5, (0.1,) * 5, (0.0,) * 5, (0.0,) * 5)
    with pytest.raises(ValueError, match="5 learning rates for 4 links"):
        crossbar_of(network).learn(images, labels, LearningRule(phases_of(), five))


@pytest.mark.parametrize("headroom", [0.5, float("nan"), float("inf")])
def test_headroom_below_the_weights_is_refused(headroom: float) -> None:
    with pytest.raises(ValueError, match=f"headroom is {headroom}, expected a number from 1"):
        crossbar_of(example("average pool"), headroom=headroom)
