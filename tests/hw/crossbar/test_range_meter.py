"""A range is set by a sample of what a converter sees: from all columns and positions alike, whatever their numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hw.crossbar.tiles.converters import SAMPLES, RangeMeter, RoundingAdc


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


@example(seed=0, sizes=[6 * SAMPLES], bits=8)
@given(
    seed=st.integers(0, 2**20),
    sizes=st.lists(st.integers(1, 8 * SAMPLES), min_size=1, max_size=3),
    bits=st.integers(2, 16),
)
@settings(deadline=None)
def test_the_range_of_all_clips_nothing(seed: int, sizes: list[int], bits: int) -> None:
    """The largest of a batch is seldom in the sample."""
    generator = torch.Generator().manual_seed(seed)
    batches = [torch.randn((1, size), generator=generator) for size in sizes]
    meter = RangeMeter()
    for batch in batches:
        meter.convert(batch)
    assert meter.percentile(100) == max(float(batch.abs().max()) for batch in batches)
    adc = RoundingAdc(bits, meter.percentile(100))
    assert sum(int(adc.convert(batch.clone())[1]) for batch in batches) == 0
