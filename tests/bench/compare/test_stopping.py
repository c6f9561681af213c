"""Rules of stopping early, on courses made by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.compare.courses import looks_of
from bench.compare.stopping import KINDS, Looks, Rule, answers_at, candidates, choose
from hw.machine import Settled
from mapping.machines import to_digital

SCORES = np.array(
    [  # two images of two classes at four looks
        [[0.0, 0.0], [1.0, 0.0]],
        [[0.0, 0.5], [2.0, 0.0]],
        [[0.0, 1.5], [0.0, 3.0]],
        [[0.0, 2.0], [0.0, 4.0]],
    ]
)
MOVED = np.array([[0.0, 0.9], [0.4, 0.2], [0.1, 0.05], [0.0, 0.0]])
LOOKS = Looks(SCORES, MOVED)
LABELS = np.array([1, 1])


@pytest.mark.parametrize(
    ("rule", "stops"),
    [
        (Rule("steps", 2), [2, 2]),
        (Rule("steps", 9), [4, 4]),
        (Rule("residual", 0.2), [3, 2]),  # the first image has not moved yet at the first look
        (Rule("residual", 0.0), [4, 4]),
        (Rule("confidence", 1.5), [3, 2]),
        (Rule("confidence", 9.0), [4, 4]),  # never sure: to the end
    ],
)
def test_images_stop_where_their_rule_is_met_first(rule: Rule, stops: list[int]) -> None:
    assert rule.stops(LOOKS).tolist() == stops


def test_what_was_answered_is_what_was_seen_then() -> None:
    assert answers_at(LOOKS, np.array([3, 2])).tolist() == [1, 0]
    assert LOOKS.right(LABELS).tolist() == [[False, False], [True, False], [True, True], [True, True]]


def test_the_loosest_rule_is_chosen_that_stays_right_when_tightened() -> None:
    assert choose(candidates("steps", LOOKS), LOOKS, LABELS, 0.0) == Rule("steps", 3)
    assert choose(candidates("steps", LOOKS), LOOKS, LABELS, 0.5) == Rule("steps", 2)
    rules = (Rule("residual", 0.3), Rule("residual", 0.2), Rule("residual", 0.1), Rule("residual", 0.0))
    # at 0.3 and 0.2 the second image stops at its second look, where it is wrong
    assert choose(rules, LOOKS, LABELS, 0.0) == Rule("residual", 0.1)
    # a loose rule that is right by luck is not taken where a tighter one is wrong
    late = Looks(SCORES[[2, 1, 2, 3]], MOVED)
    assert choose(candidates("steps", late), late, LABELS, 0.0) == Rule("steps", 3)
    with pytest.raises(ValueError, match="no rule"):
        choose((), LOOKS, LABELS, 0.0)


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, (5, 4, 3), elements=st.floats(-5, 5)),
    arrays(np.float64, (5, 4), elements=st.floats(0, 1)),
    arrays(np.int64, 4, elements=st.integers(0, 2)),
    st.floats(0, 0.5),
)
def test_tighter_rules_never_stop_earlier_and_what_is_chosen_is_good_enough(scores, moved, labels, loss) -> None:
    looks = Looks(scores, moved)
    for kind in KINDS:
        rules = candidates(kind, looks)
        stops = [rule.stops(looks) for rule in rules]
        for earlier, later in pairwise(stops):
            assert (earlier <= later).all()
        chosen = choose(rules, looks, labels, loss)
        share = (answers_at(looks, chosen.stops(looks)) == labels).mean()
        tightest = (answers_at(looks, stops[-1]) == labels).mean()
        assert share >= looks.right(labels)[-1].mean() - loss - 1e-9 or (chosen == rules[-1] and share == tightest)


@pytest.mark.parametrize(("kind", "threshold"), [("residual", -1.0), ("confidence", float("nan")), ("luck", 1.0)])
def test_rules_that_cannot_be_are_refused(kind, threshold: float) -> None:
    with pytest.raises(ValueError, match=kind):
        Rule(kind, threshold)


def test_moves_are_those_of_the_trace_in_states() -> None:
    from helpers.random_nets import mixed_network, program_of, random_images

    network = mixed_network()
    images = random_images(network.links[0].below, 3, 3)
    machine = to_digital(program_of(network, state_bits=8, seed=4), steps=6)
    settled = machine.settle(images, trace=True)
    looks = looks_of(settled)
    np.testing.assert_allclose(looks.moved[-1], settled.residual, atol=1e-7)
    assert settled.trace is not None
    first = max(np.abs(layer[0, 0]).max() for layer in settled.trace) / settled.one
    assert looks.moved[0, 0] == pytest.approx(first)
    with pytest.raises(ValueError, match="trace=True"):
        looks_of(machine.settle(images))


def test_without_a_clock_a_move_is_that_of_a_time_constant() -> None:
    states = np.array([0.1, 0.3, 0.6, 0.7])[:, None, None]
    settled = Settled(
        logits=np.zeros((1, 2)),
        logits_by_step=np.zeros((4, 1, 2)),
        states=(states[-1],),
        one=1,
        steps=None,
        residual=np.zeros(1),
        ledger=to_ledger(),
        trace=(states,),
        times_s=np.array([0.5, 1.0, 2.0, 2.5]),
        rest_s=np.array([2.5]),
    )
    # since a time constant of 1 s ago: from the start, from the start, from 1 s, from 1 s (the look at or before 1.5 s)
    np.testing.assert_allclose(looks_of(settled, tau_s=1.0).moved[:, 0], [0.1, 0.3, 0.3, 0.4], atol=1e-6)
    with pytest.raises(ValueError, match="time constant"):
        looks_of(settled)


def to_ledger():
    from hw.ledger import Ledger

    return Ledger(1)
