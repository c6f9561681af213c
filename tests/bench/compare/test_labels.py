"""Names beside dots keep their distance and their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare.labels import spaced


@given(st.lists(st.floats(0, 1), min_size=1, max_size=15), st.floats(0.01, 0.06))
def test_no_two_names_are_nearer_than_they_are_high(heights: list[float], least: float) -> None:
    placed = spaced(heights, least)
    assert (np.diff(np.sort(placed)) >= least - 1e-9).all()
    assert placed.min() >= -1e-9
    assert placed.max() <= 1 + 1e-9
    order = np.argsort(heights, kind="stable")
    assert (np.diff(placed[order]) > 0).all()


def test_names_with_room_stay_where_they_are_and_crowds_spread_about_their_middle() -> None:
    assert spaced([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert spaced([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spaced([0.0, 0.0], 0.1) == pytest.approx([0.0, 0.1])
    assert spaced([0.5] * 5, 0.5) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
