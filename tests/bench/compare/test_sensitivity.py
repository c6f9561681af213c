"""A constant that is moved moves the ratio as its share of the joules says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.random_nets import mixed_network, program_of, random_images

from bench.compare.sensitivity import GROUPS, Side, bars, conclusion, nominal_j
from hw.cost.constants import TABLE
from hw.cost.crossbar import crossbar_cost
from hw.cost.crossbar_profiles import CROSSBAR_PROFILES
from hw.cost.loihi import loihi_cost
from hw.cost.profiles import PROFILES
from hw.cost.roofline import gpu_cost
from hw.crossbar.fabrication import Fabrication
from hw.events.arithmetic import ArithmeticEvents
from hw.ledger import Ledger, counted
from mapping.machines import to_crossbar, to_digital

NETWORK = mixed_network()
IMAGES = random_images(NETWORK.links[0].below, 2, 3)


def chip() -> Side:
    ledger = to_digital(program_of(NETWORK, state_bits=8, seed=4), steps=5).settle(IMAGES).ledger
    sent = Ledger(ledger.images, replace(counted(ledger.messages, "messages"), coding="delta"))
    return Side("chip", "davies2018", sent, loihi_cost(sent, PROFILES["davies2018"]))


def board() -> Side:
    ledger = to_digital(NETWORK, steps=5).settle(IMAGES).ledger
    cost = gpu_cost(ledger, "H200")
    assert cost is not None
    return Side("board", "roofline-h200", ledger, cost)


def tiles() -> Side:
    design = replace(EXACT, input_bits=8, adc_bits=8)
    die = to_crossbar(NETWORK, Fabrication(IDEAL, design), steps=5)
    die.worst_ranges()
    ledger = die.settle(IMAGES).ledger
    cost = crossbar_cost(counted(ledger.tiles, "tiles"), 7.0, ledger.images, CROSSBAR_PROFILES["hermes-14nm"])
    return Side("tiles", "hermes-14nm", ledger, cost, 7.0)


@pytest.mark.parametrize("make", [chip, board, tiles])
def test_with_the_published_table_it_is_the_published_price(make) -> None:
    side = make()
    assert nominal_j(side, TABLE) == pytest.approx(side.cost.energy_j.nominal, rel=1e-12)
    assert set(GROUPS[side.profile]) <= set(TABLE)


def test_a_price_moves_the_ratio_by_its_share() -> None:
    ours, theirs = chip(), board()
    found = {bar.constant: bar for bar in bars(ours, theirs)}
    now = nominal_j(ours, TABLE) / nominal_j(theirs, TABLE)
    share = ours.cost.breakdown_j["synapses"] / ours.cost.energy_j.nominal
    moved = found["davies2018.synapse_energy"]
    published = TABLE["davies2018"]["synapse_energy"]
    low, high = (published.low, published.high) if published.bounds else (published.nominal / 2, published.nominal * 2)
    assert moved.high / now == pytest.approx(1 + share * (high / published.nominal - 1))
    assert moved.low / now == pytest.approx(1 + share * (low / published.nominal - 1))
    static = sum(ours.cost.breakdown_j[part] for part in ("barrier", "static")) / ours.cost.energy_j.nominal
    assert found["loihi1.static_power"].high / now == pytest.approx(1 + static)
    # power of the board divides the ratio
    assert (found["gpu-h200.tdp"].low, found["gpu-h200.tdp"].high) == (pytest.approx(2 * now), pytest.approx(now / 2))


def test_conversions_move_a_die_and_bars_come_largest_first() -> None:
    ours, theirs = tiles(), board()
    found = bars(ours, theirs)
    now = nominal_j(ours, TABLE) / nominal_j(theirs, TABLE)
    moves = [abs(bar.high / bar.low) if bar.high > bar.low else bar.low / bar.high for bar in found]
    assert moves == sorted(moves, reverse=True)
    adc = next(bar for bar in found if bar.constant == "hermes2023.conversion_one_phase_energy")
    share = ours.cost.breakdown_j["adc"] / ours.cost.energy_j.nominal
    assert adc.high / now == pytest.approx(1 + share * (adc.spread[1] - 1))


def test_what_alone_turns_the_conclusion_round_is_named() -> None:
    ours, theirs = chip(), board()
    watts, peak = TABLE["gpu-h200"]["tdp"].nominal, TABLE["gpu-h200"]["peak_fp32"].nominal

    def against(ratio: float) -> dict[str, Any]:
        """A board whose arithmetic takes so many times less than the chip."""
        macs = round(ours.cost.energy_j.nominal / ratio * peak / (2 * watts) * theirs.ledger.images)
        ledger = replace(theirs.ledger, arithmetic=ArithmeticEvents(macs, 0))
        cost = gpu_cost(ledger, "H200")
        assert cost is not None
        return conclusion(ours, Side("board", "roofline-h200", ledger, cost))

    near = against(1.2)
    assert near["ratio"] == pytest.approx(1.2, rel=1e-3)
    assert "gpu-h200.tdp" in near["across"]
    assert "gpu-h200.tdp" in near["words"]
    far = against(200.0)
    assert far["across"] == []
    assert "no constant alone turns it round, nor do all of them together" in far["words"]
    with pytest.raises(ValueError, match="'loihi9' cannot be varied"):
        nominal_j(replace(ours, profile="loihi9"), TABLE)
