"""Matrices on tiles: none too many, ways between them by hand, and refusals that say what would do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hw.crossbar.mesh import hops, places, side
from mapping.placement.cores import PlacementError
from mapping.placement.tiles import check_tiles, place_tiles, tiles_used
from models.ep.links import ConvLink, DenseLink

LINKS = [
    ConvLink(torch.zeros(5, 2, 3, 3), torch.zeros(5), (2, 6, 6)),
    DenseLink(torch.zeros(300, 256), torch.zeros(300), (256,)),
]
"""(5, 18) and (300, 256) weights."""


def test_tiles_hold_what_is_cut_and_no_more() -> None:
    assert tiles_used(LINKS, 16) == (1 * 2, 19 * 16)
    assert tiles_used(LINKS, 256) == (1, 2)


def test_links_fill_tiles_one_after_the_other() -> None:
    placed = place_tiles(LINKS, 256)
    assert [(link.first, link.tiles, link.matrix) for link in placed.links] == [(0, 1, (5, 18)), (1, 2, (300, 256))]
    assert placed.links[0].used == 5 * 18 / 256**2
    assert placed.links[1].used == 300 * 256 / (2 * 256**2)
    # states of 8 bits below and above a link, by its tiles: 72 + 80, and (256 + 300) / 2
    assert [link.buffer_bytes for link in placed.links] == [72 + 5 * 4 * 4, 278]
    # behind analog neurons images and answers alone
    assert [link.buffer_bytes for link in place_tiles(LINKS, 256, neurons="analog").links] == [72, 150]
    assert (placed.tiles, placed.chips) == (3, 1)
    assert place_tiles(LINKS, 16).chips == -(-306 // 64)


def test_hops_by_hand() -> None:
    """1 + 2 + 1 tiles on a 2 x 2 mesh: link 0 at (0, 0); link 1 at (1, 0) and (0, 1); link 2 at (1, 1)."""
    tiles = (1, 2, 1)
    assert side(tiles) == 2
    assert [np.stack(places(tiles, link)).T.tolist() for link in range(3)] == [[[0, 0]], [[1, 0], [0, 1]], [[1, 1]]]
    # every way between neighbours is one router; from link 2 to the edge of the chip it is two
    assert hops(tiles, "mesh") == ((1.0, 0.0), (1.0, 1.0), (2.0, 1.0))
    assert hops(tiles, "bus") == ((1.0, 0.0), (1.0, 1.0), (1.0, 1.0))


def test_hops_are_the_mean_over_all_pairs_of_tiles() -> None:
    tiles = (7, 11, 5)
    ways = hops(tiles, "mesh")

    def mean(one: int, other: int) -> float:
        at = [divmod(tile, side(tiles)) for tile in range(sum(tiles))]
        first, second = (at[sum(tiles[:link]) : sum(tiles[: link + 1])] for link in (one, other))
        return float(np.mean([abs(a - c) + abs(b - d) for a, b in first for c, d in second]))

    assert ways[0] == (pytest.approx(mean(0, 1)), 0.0)
    assert ways[1] == (pytest.approx(mean(1, 2)), pytest.approx(mean(1, 0)))
    assert ways[2][1] == pytest.approx(mean(2, 1))


def test_more_tiles_than_may_be_used_are_refused_with_what_would_do() -> None:
    placed = place_tiles(LINKS, 16)
    check_tiles(placed, 306)
    with pytest.raises(
        PlacementError, match=r"needs 306 tiles of 16 x 16 weights, which are 5 chips of 64; 305 may be"
    ):
        check_tiles(placed, 305)
    with pytest.raises(PlacementError, match="tiles of 32 x 32 weights would do"):
        check_tiles(placed, 100)
    with pytest.raises(PlacementError, match="2 links need a tile each"):
        check_tiles(placed, 1)


def test_states_that_no_buffer_holds_are_refused_with_how_many_tiles_would() -> None:
    """32 maps of 64 x 64 made of 3: 12,288 + 131,072 bytes, and a tile has 65,536."""
    wide = ConvLink(torch.zeros(32, 3, 3, 3), torch.zeros(32), (3, 64, 64), padding=1)
    check_tiles(place_tiles([wide], 256, bits=3))
    check_tiles(place_tiles([wide], 8))
    with pytest.raises(
        PlacementError,
        match=r"^link 1 of 1 keeps 143,360 bytes of states in each of its 1 tiles of 256 x 256 weights, a tile has "
        r"65,536 \(the eDRAM of ISAAC\): it needs 3 tiles, and tiles of 16 x 16 weights would do$",
    ):
        check_tiles(place_tiles([wide], 256))
