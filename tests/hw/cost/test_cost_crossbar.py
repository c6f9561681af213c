"""Crossbar costs against figures worked out by hand and against silicon, and their properties over random events."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.cost.constants import ACCELERGY_ADC, HERMES_2023, ISAAC_2016, PUMA_2019
from hw.cost.cost import Cost, Range
from hw.cost.crossbar import crossbar_cost
from hw.cost.crossbar_profiles import AIMC, CROSSBAR_PROFILES, HERMES, ISAAC, CrossbarProfile, isaac_adc
from hw.events.tiles import NO_WRITES, TileEvents

KEYS = ["array", "dac", "adc", "hold", "shift_add", "buffers", "network", "neurons"]
FJ, PJ, NJ, NS = 1e-15, 1e-12, 1e-9, 1e-9
DAC_BITS = {"isaac-32nm": 1, "hermes-14nm": 8, "aimc-28nm": 8}


def both(cost: Cost) -> tuple[Range, Range]:
    assert cost.latency_s is not None
    return cost.energy_j, cost.latency_s


def small(profile: CrossbarProfile) -> TileEvents:
    """Two images: a link of 200 x 300 read 4 times up and 2 times down, and a readout of 6 x 2 read twice."""
    nothing = np.zeros((2, 2))
    return TileEvents(
        links=("link1", "readout"),
        tiles=(1, 1),
        rows=(200, 6),
        columns=(300, 2),
        dac_bits=DAC_BITS[profile.name],
        adc_bits=8,
        read_s=100e-9,
        reads=np.array([[4.0, 2.0], [2.0, 0.0]]),
        dac=np.array([[800.0, 600.0], [12.0, 0.0]]),
        adc=np.array([[1200.0, 400.0], [4.0, 0.0]]),
        clipped=nothing,
        array_j=np.array([[40.0, 10.0], [2.0, 0.0]]) * PJ,
        holds=nothing,
        shift_adds=np.array([[10.0, 20.0], [0.0, 0.0]]),
        bits=np.array([[1000.0, 500.0], [100.0, 0.0]]),
        written=NO_WRITES,
        slots=8.0,
        port_bits=0.0,
        exchanges=0.0,
    )


# One image: 26 pJ in devices, 706 voltages, 802 conversions, 15 additions, 800 bits (400 moved), 25 updates, 4 slots.
NEURONS = 25 * (2 * 0.21 + 2 * 0.02947) * PJ
NETWORK = 400 * 20.74 / 256 * PJ
BUFFERS = 800 * (20.45 / 256 + 0.054) * PJ
ADDS_28NM = 15 * 24 * (4.2 + 2.1) * 0.81 * FJ


def test_isaac_by_hand() -> None:
    cost = crossbar_cost(small(ISAAC), 50, 2, ISAAC)
    energy, latency = both(cost)
    assert list(cost.breakdown_j) == KEYS
    assert cost.breakdown_j["array"] == pytest.approx(26 * PJ)
    assert cost.breakdown_j["dac"] == pytest.approx(706 * 0.41667 * PJ)
    assert cost.breakdown_j["adc"] == pytest.approx(802 * 16 / 9.6 * PJ)
    assert cost.breakdown_j["hold"] == 0.0
    assert cost.breakdown_j["shift_add"] == pytest.approx(15 * 0.021 * PJ)
    assert cost.breakdown_j["buffers"] == pytest.approx(BUFFERS)
    assert cost.breakdown_j["network"] == pytest.approx(NETWORK)
    assert cost.breakdown_j["neurons"] == pytest.approx(NEURONS)
    assert energy.nominal == sum(cost.breakdown_j.values())
    # 300 columns take turns at 3 converters, 200 rows at 2, 2 columns at 1: on average of 4, 2 and 2 reads 75.5 turns.
    assert latency.nominal == pytest.approx(4 * (100 + 75.5 / 1.2) * NS)
    assert cost.profile == "isaac-32nm"


def test_isaac_bounds_by_hand() -> None:
    energy, latency = both(crossbar_cost(small(ISAAC), 50, 2, ISAAC))
    low = 26 + 706 * 0.003896875 + 802 * 1.5625 + 15 * 0.021 + 800 * 20.45 / 256 + 25 * 0.26
    assert energy.low == pytest.approx(low * PJ)
    # Survey fit, PUMA's adder, SRAM and bus, every bit to another chip, neurons with a register read and written.
    high = 26 + 706 * 0.41667 + 802 * 1.849 + 15 * 0.05 + 800 * (10 / 64 + 0.054) + 800 * (20.74 / 256 + 26 / 128)
    high += 25 * (2 * 0.21 + 2 * 0.02947 + 64 * 0.009)
    assert energy.high == pytest.approx(high * PJ)
    # Converters keep up with reads of 100 ns; the slowest link takes 100 turns.
    assert latency.low == pytest.approx(4 * 100 * NS)
    assert latency.high == pytest.approx(4 * (100 + 100 / 1.2) * NS)


def test_hermes_by_hand() -> None:
    cost = crossbar_cost(small(HERMES), 50, 2, HERMES)
    energy, latency = both(cost)
    typical = 65536 * 20.7e-6 * 0.04 * 133e-9 / 6
    conversion = [(131072 / efficiency - typical) / 256 for efficiency in (10.5e12, 9.76e12, 2.48e12)]
    assert cost.breakdown_j["adc"] == pytest.approx(802 * conversion[1])
    assert cost.breakdown_j["dac"] == cost.breakdown_j["buffers"] == 0.0
    assert energy.nominal == pytest.approx(26 * PJ + 802 * conversion[1] + ADDS_28NM + NETWORK + NEURONS)
    adds = 15 * 16 * 6.3 * 0.81 * FJ
    assert energy.low == pytest.approx(26 * PJ + 802 * conversion[0] + adds + 25 * 0.26 * PJ)
    adds, neurons = 15 * (0.21 + 32 * 0.009) * PJ, 25 * (2 * 0.21 + 2 * 0.02947 + 64 * 0.009) * PJ
    rest = adds + neurons + BUFFERS + 800 * (20.74 / 256 + 26 / 128) * PJ
    assert energy.high == pytest.approx(26 * PJ + 802 * conversion[2] + rest)
    # A read and its conversion are one, and last as long as the converter counts.
    one_phase, four_phases = (131072 * 64 / throughput for throughput in (63.1e12, 16.1e12))
    assert latency.low == latency.nominal == pytest.approx(4 * one_phase)
    assert latency.high == pytest.approx(4 * four_phases)
    slow = replace(small(HERMES), read_s=512e-9)
    assert both(crossbar_cost(slow, 50, 2, HERMES))[1].nominal == pytest.approx(4 * 512 * NS)


def test_aimc_by_hand() -> None:
    cost = crossbar_cost(small(AIMC), 50, 2, AIMC)
    energy, latency = both(cost)
    dac, adc = 706 * 50 * 8 * 0.81 * FJ, 802 * (100 * 8 + 0.001 * 4**8) * 0.81 * FJ
    assert cost.breakdown_j["dac"] == pytest.approx(dac)
    assert cost.breakdown_j["adc"] == pytest.approx(adc)
    assert energy.nominal == pytest.approx(26 * PJ + dac + adc + ADDS_28NM + BUFFERS + NETWORK + NEURONS)
    # One converter per column: up 200 devices share it, down 300, in the readout 6.
    up, down, readout = (8 * (0.00653 * devices + 0.640) for devices in (200, 300, 6))
    assert latency.low == pytest.approx(4 * 100 * NS)
    assert latency.nominal == pytest.approx(4 * (100 + (4 * up + 2 * down + 2 * readout) / 8) * NS)
    assert latency.high == pytest.approx(4 * (100 + down) * NS)
    # Low: the best converters of the survey. High: 22 % more after layout.
    assert AIMC.adc.energy_j(8).low == pytest.approx((0.267 + 0.145e-6 * 4**8) * PJ)
    assert AIMC.adc.energy_j(8).high == pytest.approx(adc / 802 * 1.22)
    assert AIMC.adc.energy_j(2).low == AIMC.adc.energy_j(2).nominal
    assert AIMC.dac.energy_j(1) == Range(0.0, 0.0, 0.0)


def product_256(profile: CrossbarProfile, read_s: float, slices: int, array_j: float) -> TileEvents:
    """One product of 8-bit numbers with 256 x 256 weights, in as many reads as there are slices of the input."""
    nothing = np.zeros((1, 2))
    once = np.array([[1.0, 0.0]])
    return TileEvents(
        links=("link1",),
        tiles=(1,),
        rows=(256,),
        columns=(256,),
        dac_bits=DAC_BITS[profile.name],
        adc_bits=8,
        read_s=read_s,
        reads=slices * once,
        dac=256 * slices * once,
        adc=256 * slices * once,
        clipped=nothing,
        array_j=array_j * once,
        holds=nothing,
        shift_adds=256 * (slices - 1) * once,
        bits=2 * 256 * 8 * once,  # shift-and-add keeps the slices of a result to itself
        written=NO_WRITES,
        slots=float(slices),
        port_bits=0.0,
        exchanges=0.0,
    )


def tile_j(cost: Cost) -> float:
    """Joules of a product without its way between tiles, which no figure of the chip holds."""
    return cost.energy_j.nominal - cost.breakdown_j["network"]


def on_pcm(profile: CrossbarProfile) -> Cost:
    """At the conductances of the chip, weights and voltages uniform up to full scale."""
    array_j = HERMES_2023["array_read_energy"].nominal
    return crossbar_cost(product_256(profile, 133e-9, 1, array_j), 0, 1, profile)


def on_isaac() -> Cost:
    """Bit-serial, on four crossbars of its own."""
    array_j = 8 * 4 * PUMA_2019["crossbar_read_energy"].nominal
    return crossbar_cost(product_256(ISAAC, ISAAC_2016["read_time"].nominal, 8, array_j), 0, 1, ISAAC)


def test_hermes_is_calibrated_to_silicon() -> None:
    cost = on_pcm(HERMES)
    energy, latency = both(cost)
    assert tile_j(cost) == pytest.approx(13.4 * NJ, rel=0.01)
    assert latency.nominal == pytest.approx(133 * NS, rel=0.01)
    # The bounds are the core alone and the chip in four phases.
    assert energy.low == pytest.approx(12.48 * NJ, rel=0.01)
    assert energy.high - 4096 * (BUFFERS / 800 + (20.74 / 256 + 26 / 128) * PJ) == pytest.approx(52.85 * NJ, rel=0.01)
    assert latency.high == pytest.approx(521 * NS, rel=0.01)
    # The devices are less than a tenth of it.
    assert cost.breakdown_j["array"] == pytest.approx(1.20 * NJ, rel=0.01)


def test_designs_are_cheaper_than_silicon() -> None:
    # As the docstring of the profiles says: within a factor of 3 and of 8.
    assert tile_j(on_isaac()) / tile_j(on_pcm(HERMES)) == pytest.approx(0.43, abs=0.01)
    assert tile_j(on_pcm(AIMC)) / tile_j(on_pcm(HERMES)) == pytest.approx(0.15, abs=0.01)
    assert both(on_isaac())[1].nominal == pytest.approx(1650 * NS, rel=0.01)
    assert both(on_pcm(AIMC))[1].nominal == pytest.approx(151 * NS, rel=0.01)


def test_derived_constants() -> None:
    def fit(bits: int) -> float:
        by_rate, by_bits = 213.7806687 - 2.8719030 * math.log(1.2e9), 128.3068287 + 3.2205115 * bits
        signal = 20 * bits * math.log10(2) + 10 * math.log10(1.5)
        process = 26.0496216 + 1.8800369 * math.log(32) - 2.8291256 * math.log(bits)
        return 0.5 * 10 ** ((signal - min(by_rate, by_bits)) / 10) * math.exp(process - 1.4702022)

    for bits in range(4, 11):
        assert ACCELERGY_ADC[f"adc_{bits}b_energy"].nominal == pytest.approx(fit(bits) * PJ, rel=1e-3)
    assert ISAAC_2016["dac_1b_energy"].nominal == pytest.approx(4e-3 / (128 * 8 * 1.2e7) * 128 / 100, rel=1e-4)
    assert ISAAC_2016["shift_add_energy"].nominal == pytest.approx(0.2e-3 / 9.6e9, rel=0.01)
    # 18432 and 36864 operands and results of 12 units of 8 ADCs, in the time that they take to use an input buffer up.
    seconds = 16384 / (128 * 8 * 1.2e7 * 100 / 128)
    assert ISAAC_2016["edram_256b_energy"].nominal == pytest.approx(20.7e-3 / 12 * seconds / (36864 / 256), rel=0.01)
    assert ISAAC_2016["router_256b_energy"].nominal == pytest.approx(42e-3 / 4 / 12 * seconds / (18432 / 256), rel=0.02)
    assert ISAAC_2016["edram_bus_bit_energy"].nominal == pytest.approx(7e-3 / 12 * seconds / 18432, rel=0.03)


def test_more_bits_cost_more() -> None:
    for profile in CROSSBAR_PROFILES.values():
        prices = [profile.adc.energy_j(bits) for bits in range(profile.adc.bits[0], profile.adc.bits[1] + 1)]
        for less, more in pairwise(prices):
            assert less.low < more.low
            assert less.nominal < more.nominal
            assert less.high < more.high
    assert isaac_adc(8) == Range(1.5625 * PJ, 16e-3 / 9.6e9, 1.849 * PJ)


@pytest.mark.parametrize(
    ("profile", "name", "bits", "covered"),
    [
        (ISAAC, "dac_bits", 8, "1 to 1"),
        (ISAAC, "adc_bits", 3, "4 to 10"),
        (ISAAC, "adc_bits", 11, "4 to 10"),
        (HERMES, "dac_bits", 1, "8 to 8"),
        (HERMES, "adc_bits", 6, "8 to 8"),
        (AIMC, "adc_bits", 12, "1 to 11"),
        (AIMC, "dac_bits", 0, "1 to 11"),
        (AIMC, "adc_bits", None, "1 to 11"),
        (HERMES, "dac_bits", None, "8 to 8"),
    ],
)
def test_resolution_without_a_figure_is_refused(
    profile: CrossbarProfile, name: str, bits: int | None, covered: str
) -> None:
    with pytest.raises(ValueError, match=f"{name} is {bits}.*{profile.name} has .*{covered} bits"):
        crossbar_cost(replace(small(profile), **{name: bits}), 0, 1, profile)


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        crossbar_cost(small(AIMC), 0, 0, AIMC)


@pytest.mark.parametrize("profile", CROSSBAR_PROFILES.values(), ids=CROSSBAR_PROFILES)
def test_analog_neurons_hold_and_convert_at_the_end(profile: CrossbarProfile) -> None:
    digital = small(profile)
    nothing = np.zeros((2, 2))
    only_readout = np.array([[0.0, 0.0], [4.0, 0.0]])
    analog = replace(digital, adc=only_readout, holds=digital.adc - only_readout, shift_adds=nothing, bits=nothing)
    cost, before = crossbar_cost(analog, 0, 2, profile), crossbar_cost(digital, 50, 2, profile)
    assert cost.breakdown_j["adc"] == pytest.approx(before.breakdown_j["adc"] * 4 / 1604)
    assert cost.breakdown_j["hold"] == pytest.approx(800 * 0.97 * FJ)
    assert cost.energy_j.high - cost.energy_j.nominal > 800 * 1.19 * PJ
    # 4 of 1604 column reads wait for a converter: almost nothing but reads is left.
    assert 4 * 100 * NS <= both(cost)[1].nominal < 1.01 * 4 * 100 * NS
    unconverted = replace(analog, adc=nothing, adc_bits=None, dac=nothing, dac_bits=None)
    assert both(crossbar_cost(unconverted, 0, 2, profile))[1] == Range(4 * 1e-7, 4 * 1e-7, 4 * 1e-7)


def test_a_settle_without_reads_costs_nothing() -> None:
    none = np.zeros((2, 2))
    idle = replace(small(AIMC), reads=none, dac=none, adc=none, array_j=none, shift_adds=none, bits=none, slots=0.0)
    cost = crossbar_cost(idle, 0, 1, AIMC)
    assert cost.energy_j == cost.latency_s == Range(0.0, 0.0, 0.0)


@st.composite
def settles(draw: st.DrawFn, profile: CrossbarProfile) -> tuple[TileEvents, TileEvents]:
    """Events of two settles on one machine."""
    links = draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = (tuple(int(n) for n in generator.integers(1, 600, links)) for _ in range(2))
    scale = 10.0 ** draw(st.integers(-1, 8))
    bits, read_s = draw(st.integers(*profile.adc.bits)), draw(st.sampled_from([1e-9, 1e-7, 1e-6]))

    def counts() -> np.ndarray:
        return generator.random((links, 2)) * scale * (generator.random((links, 2)) < 0.8)

    def settle() -> TileEvents:
        return TileEvents(
            links=tuple(f"link{index}" for index in range(links)),
            tiles=(1,) * links,
            rows=rows,
            columns=columns,
            dac_bits=DAC_BITS[profile.name],
            adc_bits=bits,
            read_s=read_s,
            reads=counts(),
            dac=counts(),
            adc=counts(),
            clipped=counts(),
            array_j=counts() * PJ,
            holds=counts(),
            shift_adds=counts(),
            bits=counts(),
            written=NO_WRITES,
            slots=float(generator.random() * scale),
            port_bits=float(generator.random() * scale),
            exchanges=float(generator.random() * scale),
        )

    return settle(), settle()


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(list(CROSSBAR_PROFILES.values())), st.integers(1, 5), st.floats(0, 1e6))
def test_costs_add_up(data: st.DataObject, profile: CrossbarProfile, images: int, updates: float) -> None:
    one, other = data.draw(settles(profile))
    # Range itself refuses figures out of order.
    cost = crossbar_cost(one, updates, images, profile)
    energy, latency = both(cost)
    assert list(cost.breakdown_j) == KEYS
    assert energy.nominal == sum(cost.breakdown_j.values())
    assert min(cost.breakdown_j.values()) >= 0
    assert latency.low >= 0
    # Energies of two settles add up, whatever the settles.
    second, sum_ = crossbar_cost(other, 0, images, profile), crossbar_cost(one + other, updates, images, profile)
    for bound in ("low", "nominal", "high"):
        parts = getattr(energy, bound) + getattr(second.energy_j, bound)
        assert getattr(sum_.energy_j, bound) == pytest.approx(parts)
    # Twice the events of twice the images are the same per image, in joules and in seconds.
    twice = crossbar_cost(one + one, 2 * updates, 2 * images, profile)
    for bound in ("low", "nominal", "high"):
        assert getattr(twice.energy_j, bound) == pytest.approx(getattr(energy, bound))
        assert getattr(both(twice)[1], bound) == pytest.approx(getattr(latency, bound))


@settings(max_examples=30, deadline=None)
@given(st.data(), st.sampled_from(list(CROSSBAR_PROFILES.values())))
def test_every_event_costs(data: st.DataObject, profile: CrossbarProfile) -> None:
    events, _ = data.draw(settles(profile))
    before = crossbar_cost(events, 0.0, 1, profile)
    for name, key in (("array_j", "array"), ("adc", "adc"), ("holds", "hold"), ("shift_adds", "shift_add")):
        more = replace(events, **{name: getattr(events, name) + 1.0})
        after = crossbar_cost(more, 0.0, 1, profile).breakdown_j
        assert after[key] > before.breakdown_j[key]
        assert {**after, key: 0.0} == {**before.breakdown_j, key: 0.0}


def test_bits_pass_the_routers_between_the_tiles_of_links_or_one_bus() -> None:
    """Bits up, down and of the readout are 1000, 500 and 100 of two images; every second one is moved."""
    far = replace(small(ISAAC), hops=((3.0, 0.0), (2.0, 1.5)))
    cost = crossbar_cost(far, 50, 2, ISAAC)
    assert cost.breakdown_j["network"] == pytest.approx((1000 * 3 + 100 * 2) / 2 / 2 * 20.74 / 256 * PJ)
    bus = crossbar_cost(replace(far, hops=((1.0, 1.0), (1.0, 1.0)), network="bus"), 50, 2, ISAAC)
    assert bus.breakdown_j["network"] == pytest.approx(1600 / 2 / 2 * 0.054 * PJ)
    near = crossbar_cost(small(ISAAC), 50, 2, ISAAC)
    assert cost.energy_j.low == near.energy_j.low, "no bit leaves its tile"


@pytest.mark.parametrize("profile", CROSSBAR_PROFILES.values(), ids=CROSSBAR_PROFILES)
def test_bits_between_tiles_take_time_by_hand(profile: CrossbarProfile) -> None:
    """Two images that wait 12 times for others; 1,200 bits an image at the busiest port, 800 on all."""
    alone = both(crossbar_cost(small(profile), 50, 2, profile))[1]
    few = replace(small(profile), port_bits=2400.0, exchanges=12.0)
    mesh = both(crossbar_cost(few, 50, 2, profile))[1]
    assert mesh.low == alone.low, "no bit leaves its tile"
    # 600 bits at 32 a nanosecond are 19 ns, while tiles read for longer; 6 packets of 34 ns
    assert mesh.nominal == pytest.approx(alone.nominal + 6 * 34 * NS)
    # 1,200 bits at 8 a nanosecond once they have read; 6 packets of 115 ns
    assert mesh.high == pytest.approx(alone.high + 1200 / 8 * NS + 6 * 115 * NS)
    bus = both(crossbar_cost(replace(few, network="bus"), 50, 2, profile))[1]
    assert (bus.low, bus.nominal) == (alone.low, alone.nominal), "400 bits at 256 a nanosecond, while tiles read"
    assert bus.high == pytest.approx(alone.high + 800 / 192 * NS)
    many = replace(few, port_bits=2e6)
    waiting = both(crossbar_cost(many, 50, 2, profile))[1]
    assert waiting.nominal == pytest.approx(1e6 / 2 / 32 * NS + 6 * 34 * NS), "the port is what takes time"


def test_a_whole_product_stays_near_silicon_with_its_way_between_tiles() -> None:
    """256 results of 8 bits go on and 256 operands came: within twice of the 133 ns and 13.4 nJ of HERMES."""
    array_j = HERMES_2023["array_read_energy"].nominal
    events = replace(product_256(HERMES, 133e-9, 1, array_j), port_bits=2 * 256 * 8.0, exchanges=1.0)
    energy, latency = both(crossbar_cost(events, 0, 1, HERMES))
    assert latency.nominal == pytest.approx((133 + 34) * NS, rel=0.01)
    assert energy.nominal < 2 * 13.4 * NJ
