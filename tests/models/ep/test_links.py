"""Links: `up`, `down` and `correlate` are the derivatives of one bilinear form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ep.links import ConvLink, DenseLink, Link, with_tensors
from models.ep.pooling import as_pool_kind, pool, pool_at, unpool

SIZES = st.integers(1, 3)


@st.composite
def conv_links(draw: st.DrawFn) -> ConvLink:
    kernel = (draw(SIZES), draw(SIZES))
    stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    pooling = as_pool_kind(draw(st.sampled_from(("none", "average", "max"))))
    size = 1 if pooling == "none" else draw(st.integers(2, 3))
    # large enough that at least one window is left above
    least = [max(1, kernel[axis] + stride * (size - 1) - 2 * padding) for axis in (0, 1)]
    below = (draw(SIZES), least[0] + draw(st.integers(0, 5)), least[1] + draw(st.integers(0, 5)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    weight = torch.randn((draw(SIZES), below[0], *kernel), generator=generator, dtype=torch.float64)
    bias = torch.randn(len(weight), generator=generator, dtype=torch.float64)
    return ConvLink(weight, bias, below, stride, padding, pooling, size)


@st.composite
def dense_links(draw: st.DrawFn) -> DenseLink:
    below = draw(st.sampled_from(((3,), (2, 3, 2), (1, 1, 1))))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    units = draw(SIZES)
    weight = torch.randn((units, torch.Size(below).numel()), generator=generator, dtype=torch.float64)
    return DenseLink(weight, torch.randn(units, generator=generator, dtype=torch.float64), below)


LINKS = st.one_of(conv_links(), dense_links())


def states(link: Link, batch: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    below = torch.randn((batch, *link.below), generator=generator, dtype=torch.float64)
    return below, torch.randn((batch, *link.above), generator=generator, dtype=torch.float64)


@given(link=LINKS, batch=SIZES)
@settings(max_examples=150, deadline=None)
def test_all_directions_are_derivatives_of_one_form(link: Link, batch: int) -> None:
    below, above = states(link, batch)
    leaves = [below.requires_grad_(), link.weight.clone().requires_grad_(), link.bias.clone().requires_grad_()]
    made = with_tensors(link, leaves[1], leaves[2])
    sums, switch = made.up(leaves[0])
    assert sums.shape == (batch, *link.above)
    phi = ((sums + made.spread_bias()) * above).sum()
    by_below, by_weight, by_bias = torch.autograd.grad(phi, leaves)
    torch.testing.assert_close(link.down(above, switch), by_below)
    torch.testing.assert_close(link.correlate(below.detach(), above, switch), by_weight)
    torch.testing.assert_close(link.correlate_bias(above), by_bias)


@given(link=LINKS, batch=SIZES)
@settings(max_examples=100, deadline=None)
def test_down_is_the_transpose_of_up(link: Link, batch: int) -> None:
    """<up(x), y> = <x, down(y)>; with max pooling at the switch of x, where up is linear."""
    below, above = states(link, batch)
    sums, switch = link.up(below)
    torch.testing.assert_close((sums * above).sum(), (below * link.down(above, switch)).sum())


@given(link=conv_links(), batch=SIZES)
@settings(max_examples=60, deadline=None)
def test_folding_the_average_into_the_kernel_changes_nothing(link: ConvLink, batch: int) -> None:
    below, above = states(link, batch)
    folded = link.folded()
    assert folded.above == link.above
    torch.testing.assert_close(folded.up(below)[0], link.up(below)[0])
    switch = link.up(below)[1]
    torch.testing.assert_close(folded.down(above, switch), link.down(above, switch))


@given(batch=st.integers(1, 3), size=st.integers(2, 3), height=st.integers(4, 9), width=st.integers(4, 9))
@settings(max_examples=30, deadline=None)
def test_maxima_that_are_held_are_the_transpose_of_unpooling(batch: int, size: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(height * width)
    seen, other = torch.rand((2, batch, 3, height, width), generator=generator, dtype=torch.float64)
    pooled, switch = pool("max", size, seen)
    assert switch is not None
    assert torch.equal(pool_at(seen, switch), pooled)
    above = torch.rand(pooled.shape, generator=generator, dtype=torch.float64)
    wide = unpool("max", size, above, (height, width), switch)
    torch.testing.assert_close((pool_at(other, switch) * above).sum(), (other * wide).sum())


def test_unpooling_a_max_without_its_switch_is_refused() -> None:
    link = ConvLink(torch.ones(1, 1, 1, 1), torch.zeros(1), (1, 4, 4), pooling="max", pool_size=2)
    with pytest.raises(ValueError, match="needs the switch"):
        link.down(torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight": torch.ones(2, 3, 3, 3)}, r"weight \(2, 3, 3, 3\) does not fit .* \(1, 8, 8\)"),
        ({"weight": torch.ones(2, 9)}, "does not fit"),
        ({"bias": torch.ones(3)}, r"bias \(3,\), expected \(2,\)"),
        ({"stride": 0}, "stride 0"),
        ({"padding": -1}, "padding -1"),
        ({"pooling": "min", "pool_size": 2}, "'min' is none of none, average, max"),
        ({"pooling": "average"}, "'average' of size 1"),
        ({"pool_size": 2}, "'none' of size 2"),
        ({"pooling": "max", "pool_size": 7}, "nothing is left above"),
    ],
)
def test_a_conv_link_that_makes_no_sense_is_refused(fields: dict, message: str) -> None:
    sound = {"weight": torch.ones(2, 1, 3, 3), "bias": torch.ones(2), "below": (1, 8, 8)}
    with pytest.raises(ValueError, match=message):
        ConvLink(**{**sound, **fields})


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        (torch.ones(2, 5), torch.ones(2), r"weight \(2, 5\) does not fit a layer below of \(1, 2, 3\)"),
        (torch.ones(2, 6), torch.ones(1), r"bias \(1,\), expected \(2,\)"),
    ],
)
def test_a_dense_link_that_makes_no_sense_is_refused(weight: torch.Tensor, bias: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DenseLink(weight, bias, (1, 2, 3))
