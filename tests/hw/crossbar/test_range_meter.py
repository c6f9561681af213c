"""A range is set by a sample of what a converter sees: from all columns and positions alike, whatever their numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hw.crossbar.tiles.converters import SAMPLES, RangeMeter


@example(batch=12, columns=15, rows=7)
@given(batch=st.integers(1, 80), columns=st.integers(1, 64), rows=st.integers(1, 9))
def test_every_column_and_position_is_met(batch: int, columns: int, rows: int) -> None:
    places = columns * rows**2
    place = torch.arange(1, places + 1).view(columns, rows, rows).expand(batch, -1, -1, -1)
    meter = RangeMeter()
    meter.convert(place.float())
    found = meter.seen[0].unique()
    count = batch * places
    assert len(found) == min(places, len(meter.seen[0]))
    assert len(meter.seen[0]) >= min(SAMPLES, count) / 2


def test_bright_pixels_far_from_the_corner_are_seen() -> None:
    """64 images, 64 columns and 7 x 7 positions, of which one in 49 was met, the dark corner: what MNIST settles to."""
    sums = 1e-3 * torch.rand((64, 64, 7, 7), generator=torch.Generator().manual_seed(0))
    sums[:, :, 2:5, 2:5] *= 1000
    meter = RangeMeter()
    meter.convert(sums)
    whole = float(sums.flatten().double().quantile(0.99))
    assert meter.percentile(99) == pytest.approx(whole, rel=0.02)
