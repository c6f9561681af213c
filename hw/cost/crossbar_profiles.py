"""The published sets of prices of what surrounds a crossbar, one `CrossbarProfile` each.

A crossbar costs little; its drivers and converters cost much, and sources disagree on them by 10 to 100 times. Every
price is therefore a range, whose bounds come from the source named beside it. Joules of a product of 8-bit numbers with
256 x 256 weights, held by pairs of devices, without its way between tiles (tests/hw/cost/test_cost_crossbar.py):

| profile     | devices                     | low     | nominal | high    | nominal over HERMES | time, nominal |
|-------------|-----------------------------|---------|---------|---------|---------------------|---------------|
| hermes-14nm | PCM, 1.20 nJ                | 12.5 nJ | 13.4 nJ | 53.4 nJ | 1, calibrated to it | 133 ns        |
| isaac-32nm  | its own, 8 reads of 0.12 nJ | 4.5 nJ  | 5.8 nJ  | 6.6 nJ  | 0.43                | 1650 ns       |
| aimc-28nm   | PCM, 1.20 nJ                | 1.7 nJ  | 2.0 nJ  | 2.4 nJ  | 0.15                | 151 ns        |

The two designs are two and seven times cheaper than the silicon, and their ranges do not reach it: they hold neither
clock, control nor post-processing, and ISAAC, whose cells hold 2 bits, needs four times the tiles for 8-bit weights
(then 1.6 times HERMES). Trust ratios between architectures within one profile, not joules across profiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hw.cost.constants import (
    ACCELERGY_ADC,
    ALADDIN_2014,
    HERMES_2023,
    HOROWITZ_2014,
    ISAAC_2016,
    MURMANN_2025,
    NEUROSIM,
    NEURRAM_2022,
    PUMA_2019,
    ZIGZAG_IMC,
)
from hw.cost.cost import Range


@dataclass(frozen=True)
class Converter:
    """What one conversion takes, at the resolutions that its source covers."""

    bits: tuple[int, int]
    """Lowest and highest resolution."""
    energy_j: Callable[[int], Range]
    """Joules of one conversion, by bits."""

    def price_j(self, bits: int | None, name: str, profile: str) -> Range:
        """Joules of one conversion; refuses a resolution without a figure."""
        low, high = self.bits
        if bits is None:
            raise ValueError(f"{name} is None: an ideal converter has no price; {profile} has {low} to {high} bits")
        if not low <= bits <= high:
            raise ValueError(f"{name} is {bits}: {profile} has figures for {low} to {high} bits")
        return self.energy_j(bits)


@dataclass(frozen=True)
class CrossbarProfile:
    """One coherent set of published prices."""

    name: str
    dac: Converter
    """One row voltage set."""
    adc: Converter
    """One column converted."""
    adc_s: Callable[[int, int], Range]
    """Seconds of one conversion, by bits and by the devices that share a column."""
    columns_per_adc: int
    """Columns that take turns at one converter."""
    integrates: bool
    """The converter counts while the row voltages stand, so that the read and the conversion are one."""
    hold_j: Range
    """One analog value sampled and held."""
    shift_add_j: Range
    """One addition of a partial sum or a bit slice."""
    buffer_bit_j: Range
    """One bit put in or fetched from a buffer."""
    network_bit_j: Range
    """One bit moved to another tile."""
    neuron_j: Range
    """One digital neuron update."""
    note: str
    """What the prices hold and leave out."""

    def adcs(self, columns: int) -> int:
        """Converters of a tile with this many columns."""
        return -(-columns // self.columns_per_adc)


def _same(value: float) -> Range:
    return Range(value, value, value)


# One neuron update is s = clip(b + up + down, 0, 1): two additions, two comparisons, and one 32-bit register.
_ARITHMETIC = 2 * ALADDIN_2014["add_32b_energy"].nominal + 2 * ALADDIN_2014["compare_32b_energy"].nominal
_REGISTER = 32 * ALADDIN_2014["register_bit_energy"].nominal

NEURON = Range(PUMA_2019["activation_energy"].nominal, _ARITHMETIC, _ARITHMETIC + 2 * _REGISTER)
"""Low: the activation unit of PUMA. Nominal: two additions and two comparisons. High: and a register, twice."""

HOLD = Range(
    PUMA_2019["hold_1ns_energy"].nominal, PUMA_2019["hold_100ns_energy"].nominal, NEURRAM_2022["sample_energy"].nominal
)
"""Low: PUMA, 9.7 nW for 1 ns. Nominal: the same power for a read of ISAAC. High: NeuRRAM. 10**5 lies between: no figure
decides what the analog neurons of a settle cost, and the range says so."""

_EDRAM = ISAAC_2016["edram_256b_energy"].nominal / 256
_BUS = ISAAC_2016["edram_bus_bit_energy"].nominal

BUFFER_BIT = Range(_EDRAM, _EDRAM + _BUS, HOROWITZ_2014["sram_8kb_64bit_energy"].nominal / 64 + _BUS)
"""Low: eDRAM of ISAAC. Nominal: eDRAM and bus. High: 8 KB of SRAM (Horowitz, 45 nm) and the bus."""

_ROUTER = ISAAC_2016["router_256b_energy"].nominal / 256

NETWORK_BIT = Range(_ROUTER, _ROUTER, _ROUTER + ISAAC_2016["chip_link_128b_energy"].nominal / 128)
"""Low and nominal: one router of ISAAC. High: and its link to another chip."""

_FARAD_TO_J = ZIGZAG_IMC["supply"].nominal ** 2
_ADD_BIT = (ZIGZAG_IMC["adder_bit_capacitance"].nominal + ZIGZAG_IMC["register_bit_capacitance"].nominal) * _FARAD_TO_J

SHIFT_ADD = Range(16 * _ADD_BIT, 24 * _ADD_BIT, ALADDIN_2014["add_32b_energy"].nominal + _REGISTER)
"""Low: 16 bits of the 28 nm adder and register. Nominal: 24 bits, the exact sum of 256 products of 8 and 8 bits. High:
32 bits in 40 nm (Aladdin)."""


def isaac_adc(bits: int) -> Range:
    """Nominal: the list of ISAAC. Bounds: it, PUMA (b**2) and the survey fit at the same rate."""
    nominal = ISAAC_2016[f"adc_{bits}b_energy"].nominal
    others = (PUMA_2019["adc_square_bit_energy"].nominal * bits**2, ACCELERGY_ADC[f"adc_{bits}b_energy"].nominal)
    return Range(min(nominal, *others), nominal, max(nominal, *others))


def isaac_adc_s(bits: int, _devices: int) -> Range:
    """Nominal and high: 1.2 GS/s at 8 bits, and time proportional to bits. Low: PUMA, whose converter is faster."""
    nominal = ISAAC_2016["adc_8b_time"].nominal * bits / 8
    return Range(PUMA_2019["adc_bit_time"].nominal * bits, nominal, nominal)


ISAAC = CrossbarProfile(
    name="isaac-32nm",
    # Low: PUMA charges the driver for 1 ns of the 100 ns that a read lasts.
    dac=Converter(
        (1, 1),
        lambda _bits: Range(
            PUMA_2019["dac_1b_energy"].nominal, ISAAC_2016["dac_1b_energy"].nominal, ISAAC_2016["dac_1b_energy"].nominal
        ),
    ),
    adc=Converter((4, 10), isaac_adc),
    adc_s=isaac_adc_s,
    columns_per_adc=int(ISAAC_2016["columns_per_adc"].nominal),
    integrates=False,
    hold_j=HOLD,
    shift_add_j=Range(
        ISAAC_2016["shift_add_energy"].nominal,
        ISAAC_2016["shift_add_energy"].nominal,
        PUMA_2019["shift_add_energy"].nominal,
    ),
    buffer_bit_j=BUFFER_BIT,
    network_bit_j=NETWORK_BIT,
    neuron_j=NEURON,
    note="ISAAC in 32 nm, a design; no clock, control or leakage; neurons: PUMA and Aladdin; holds: PUMA and NeuRRAM",
)
"""ISAAC and its descendants: one bit of the input per read, one fast converter for 128 columns in turn."""


def hermes_conversion(_bits: int) -> Range:
    """Low: the core alone. Nominal: the chip in one phase. High: in four phases. Each without the devices."""
    return Range(
        HERMES_2023["conversion_core_energy"].nominal,
        HERMES_2023["conversion_one_phase_energy"].nominal,
        HERMES_2023["conversion_four_phase_energy"].nominal,
    )


def hermes_read_s(_bits: int, _devices: int) -> Range:
    """Low and nominal: one phase. High: four phases."""
    one = HERMES_2023["one_phase_read_time"].nominal
    return Range(one, one, HERMES_2023["four_phase_read_time"].nominal)


HERMES = CrossbarProfile(
    name="hermes-14nm",
    dac=Converter((8, 8), lambda _bits: _same(0.0)),
    adc=Converter((8, 8), hermes_conversion),
    adc_s=hermes_read_s,
    columns_per_adc=1,
    integrates=True,
    hold_j=HOLD,
    shift_add_j=SHIFT_ADD,
    # What a core keeps of its own operands is in the measured figure; high: the buffers of ISAAC beside it.
    buffer_bit_j=Range(0.0, 0.0, BUFFER_BIT.nominal),
    network_bit_j=NETWORK_BIT,
    neuron_j=NEURON,
    note=(
        "measured on the 14 nm HERMES chip, whole reads: a conversion holds drivers, buffers, post-processing and "
        "control, so that a read without conversions costs too little; network: ISAAC, 32 nm; neurons: PUMA and "
        "Aladdin; holds: PUMA and NeuRRAM; additions: 28 nm"
    ),
)
"""The only silicon here, for reads of one phase, 133 ns.

Its joules are those of full 256 x 256 products upwards. The chip reads in one direction only: that a transposed read
costs as much is an assumption, and so is a price per column, whatever the rows in use. The devices are counted apart,
in the ledger, so 1.2 nJ of the 13.4 nJ were taken off for them, an estimate between 0 and 7.2 nJ. A ledger with longer
reads (the noise of the chip was fitted at 512 ns) has that much more in its devices.
"""


def aimc_adc(bits: int) -> Range:
    """Nominal: (k5 b + k6 4**b) V**2. Low: it or the best of the ADC survey. High: after layout (NeuroSim)."""
    farad = ZIGZAG_IMC["adc_bit_capacitance"].nominal * bits + ZIGZAG_IMC["adc_level_capacitance"].nominal * 4**bits
    nominal = farad * _FARAD_TO_J
    best = MURMANN_2025["envelope_floor_energy"].nominal + MURMANN_2025["envelope_level_energy"].nominal * 4**bits
    return Range(min(nominal, best), nominal, nominal * NEUROSIM["post_layout_ratio"].nominal)


def aimc_dac(bits: int) -> Range:
    """Nominal: k0 b V**2, and nothing at 1 bit, where the wire is the driver. High: after layout (NeuroSim)."""
    nominal = 0.0 if bits == 1 else ZIGZAG_IMC["dac_bit_capacitance"].nominal * bits * _FARAD_TO_J
    return Range(nominal, nominal, nominal * NEUROSIM["post_layout_ratio"].nominal)


def aimc_adc_s(bits: int, devices: int) -> Range:
    """b (k3 devices + k4)."""
    return _same(bits * (ZIGZAG_IMC["adc_bit_row_time"].nominal * devices + ZIGZAG_IMC["adc_bit_time"].nominal))


AIMC = CrossbarProfile(
    name="aimc-28nm",
    dac=Converter((1, 11), aimc_dac),
    adc=Converter((1, 11), aimc_adc),
    adc_s=aimc_adc_s,
    columns_per_adc=1,
    integrates=False,
    hold_j=HOLD,
    shift_add_j=SHIFT_ADD,
    buffer_bit_j=BUFFER_BIT,
    network_bit_j=NETWORK_BIT,
    neuron_j=NEURON,
    note=(
        "converters by the 28 nm formula of zigzag-imc, fitted to SRAM macros; no clock, control or leakage; buffers "
        "and network: ISAAC, 32 nm; neurons: PUMA and Aladdin; holds: PUMA and NeuRRAM"
    ),
)
"""A formula for any resolution, for sweeps over bits: a lower bound, a seventh of measured silicon at 8 bits."""

CROSSBAR_PROFILES = {profile.name: profile for profile in (ISAAC, HERMES, AIMC)}
"""The profiles by name."""
