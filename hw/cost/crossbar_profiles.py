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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hw.cost.constants import TABLE, Constant, Table
from hw.cost.constants.own import OwnProfile
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
    """One bit moved through one router."""
    bus_bit_j: Range
    """One bit moved over a bus."""
    packet_s: Range
    """From a tile to another over the mesh, however many follow."""
    port_bit_s: Range
    """One bit put onto the mesh by a tile."""
    bus_bit_s: Range
    """One bit put onto the bus."""
    neuron_j: Range
    """One digital neuron update."""
    note: str
    """What the prices hold and leave out."""

    def adcs(self, columns: int) -> int:
        """Converters of a tile with this many columns."""
        return -(-columns // self.columns_per_adc)


def _same(value: float) -> Range:
    return Range(value, value, value)


def _range(constant: Constant) -> Range:
    return Range(constant.low, constant.nominal, constant.high)


def _bit_s(rate: Constant) -> Range:
    """Seconds of a bit at so many bytes a second: the higher the rate, the fewer."""
    return Range(1 / (8 * rate.high), 1 / (8 * rate.nominal), 1 / (8 * rate.low))


@dataclass(frozen=True)
class _Common:
    """What no source of a whole design has, and every profile takes from elsewhere; figures of one table."""

    table: Table

    def __call__(self, group: str, name: str) -> float:
        return self.table[group][name].nominal

    @property
    def neuron(self) -> Range:
        """One neuron update is s = clip(b + up + down, 0, 1).

        Low: the activation unit of PUMA. Nominal: two additions and two comparisons. High: and a register, twice.
        """
        arithmetic = 2 * self("aladdin2014", "add_32b_energy") + 2 * self("aladdin2014", "compare_32b_energy")
        return Range(self("puma2019", "activation_energy"), arithmetic, arithmetic + 2 * self.register)

    @property
    def register(self) -> float:
        """32 bits of a register."""
        return 32 * self("aladdin2014", "register_bit_energy")

    @property
    def hold(self) -> Range:
        """Low: PUMA, 9.7 nW for 1 ns. Nominal: the same power for a read of ISAAC. High: NeuRRAM.

        10**5 lies between: no figure decides what the analog neurons of a settle cost, and the range says so.
        """
        puma = (self("puma2019", "hold_1ns_energy"), self("puma2019", "hold_100ns_energy"))
        return Range(*puma, self("neurram2022", "sample_energy"))

    @property
    def buffer_bit(self) -> Range:
        """Low: eDRAM of ISAAC. Nominal: eDRAM and bus. High: 8 KB of SRAM (Horowitz, 45 nm) and the bus."""
        edram, bus = self("isaac2016", "edram_256b_energy") / 256, self("isaac2016", "edram_bus_bit_energy")
        return Range(edram, edram + bus, self("horowitz2014", "sram_8kb_64bit_energy") / 64 + bus)

    @property
    def network_bit(self) -> Range:
        """Low and nominal: one router of ISAAC. High: and its link to another chip."""
        router = self("isaac2016", "router_256b_energy") / 256
        return Range(router, router, router + self("isaac2016", "chip_link_128b_energy") / 128)

    @property
    def packet(self) -> Range:
        """PUMA, by how much is sent at once."""
        return _range(self.table["puma2019"]["mesh_packet_time"])

    @property
    def port_bit(self) -> Range:
        """PUMA: low and nominal a port for every tile, high: four take turns."""
        return _bit_s(self.table["puma2019"]["mesh_port_rate"])

    @property
    def bus_bit(self) -> Range:
        """PUMA and ISAAC, by how many wires."""
        return _bit_s(self.table["puma2019"]["bus_rate"])

    @property
    def farad_to_j(self) -> float:
        """Joules of a farad of the 28 nm macros."""
        return self("zigzag-imc", "supply") ** 2

    @property
    def shift_add(self) -> Range:
        """Low: 16 bits of the 28 nm adder and register. Nominal: 24 bits, the exact sum of 256 products of 8 and 8
        bits. High: 32 bits in 40 nm (Aladdin)."""
        farad = self("zigzag-imc", "adder_bit_capacitance") + self("zigzag-imc", "register_bit_capacitance")
        bit = farad * self.farad_to_j
        return Range(16 * bit, 24 * bit, self("aladdin2014", "add_32b_energy") + self.register)


def isaac_adc(bits: int, table: Table = TABLE) -> Range:
    """Nominal: the list of ISAAC. Bounds: it, PUMA (b**2) and the survey fit at the same rate."""
    at = _Common(table)
    nominal = at("isaac2016", f"adc_{bits}b_energy")
    others = (at("puma2019", "adc_square_bit_energy") * bits**2, at("accelergy-adc", f"adc_{bits}b_energy"))
    return Range(min(nominal, *others), nominal, max(nominal, *others))


def _isaac_adc_s(bits: int, _devices: int, table: Table) -> Range:
    """Nominal and high: 1.2 GS/s at 8 bits, and time proportional to bits. Low: PUMA, whose converter is faster."""
    at = _Common(table)
    nominal = at("isaac2016", "adc_8b_time") * bits / 8
    return Range(min(at("puma2019", "adc_bit_time") * bits, nominal), nominal, nominal)


def isaac(table: Table = TABLE, name: str = "isaac-32nm") -> CrossbarProfile:
    """ISAAC and its descendants: one bit of the input per read, one fast converter for 128 columns in turn."""
    at = _Common(table)
    drive = at("isaac2016", "dac_1b_energy")
    # Low: PUMA charges the driver for 1 ns of the 100 ns that a read lasts.
    driven = Range(min(at("puma2019", "dac_1b_energy"), drive), drive, drive)
    add = at("isaac2016", "shift_add_energy")
    return CrossbarProfile(
        name=name,
        dac=Converter((1, 1), lambda _bits: driven),
        adc=Converter((4, 10), partial(isaac_adc, table=table)),
        adc_s=partial(_isaac_adc_s, table=table),
        columns_per_adc=int(at("isaac2016", "columns_per_adc")),
        integrates=False,
        hold_j=at.hold,
        shift_add_j=Range(add, add, max(add, at("puma2019", "shift_add_energy"))),
        buffer_bit_j=at.buffer_bit,
        network_bit_j=at.network_bit,
        bus_bit_j=_same(at("isaac2016", "edram_bus_bit_energy")),
        packet_s=at.packet,
        port_bit_s=at.port_bit,
        bus_bit_s=at.bus_bit,
        neuron_j=at.neuron,
        note=(
            "ISAAC in 32 nm, a design; no clock, control or leakage; time of the network: PUMA; neurons: PUMA and "
            "Aladdin; holds: PUMA and NeuRRAM"
        ),
    )


def hermes(table: Table = TABLE, name: str = "hermes-14nm") -> CrossbarProfile:
    """The only silicon here, for reads of one phase, 133 ns.

    A conversion takes low: what the core alone does, nominal: the chip in one phase, high: in four phases, each without
    the devices; a read low and nominal: one phase, high: four.

    Its joules are those of full 256 x 256 products upwards. The chip reads in one direction only: that a transposed
    read costs as much is an assumption, and so is a price per column, whatever the rows in use. The devices are counted
    apart, in the ledger, so 1.2 nJ of the 13.4 nJ were taken off for them, an estimate between 0 and 7.2 nJ. A ledger
    with longer reads (the noise of the chip was fitted at 512 ns) has that much more in its devices.
    """
    at = _Common(table)
    phase, phases = (at("hermes2023", f"{phase}_phase_read_time") for phase in ("one", "four"))
    conversion = [at("hermes2023", f"conversion_{of}_energy") for of in ("core", "one_phase", "four_phase")]
    converted = Range(min(conversion), conversion[1], max(conversion))
    return CrossbarProfile(
        name=name,
        dac=Converter((8, 8), lambda _bits: _same(0.0)),
        adc=Converter((8, 8), lambda _bits: converted),
        adc_s=lambda _bits, _devices: Range(phase, phase, max(phase, phases)),
        columns_per_adc=1,
        integrates=True,
        hold_j=at.hold,
        shift_add_j=at.shift_add,
        # What a core keeps of its own operands is in the measured figure; high: the buffers of ISAAC beside it.
        buffer_bit_j=Range(0.0, 0.0, at.buffer_bit.nominal),
        network_bit_j=at.network_bit,
        bus_bit_j=_same(at("isaac2016", "edram_bus_bit_energy")),
        packet_s=at.packet,
        port_bit_s=at.port_bit,
        bus_bit_s=at.bus_bit,
        neuron_j=at.neuron,
        note=(
            "measured on the 14 nm HERMES chip, whole reads: a conversion holds drivers, buffers, post-processing and "
            "control, so that a read without conversions costs too little; network: ISAAC and PUMA, 32 nm; "
            "neurons: PUMA and Aladdin; holds: PUMA and NeuRRAM; additions: 28 nm"
        ),
    )


def _aimc_adc(bits: int, table: Table) -> Range:
    """Nominal: (k5 b + k6 4**b) V**2. Low: it or the best of the ADC survey. High: after layout (NeuroSim)."""
    at = _Common(table)
    farad = at("zigzag-imc", "adc_bit_capacitance") * bits + at("zigzag-imc", "adc_level_capacitance") * 4**bits
    nominal = farad * at.farad_to_j
    best = at("murmann2025", "envelope_floor_energy") + at("murmann2025", "envelope_level_energy") * 4**bits
    return Range(min(nominal, best), nominal, nominal * at("neurosim", "post_layout_ratio"))


def _aimc_dac(bits: int, table: Table) -> Range:
    """Nominal: k0 b V**2, and nothing at 1 bit, where the wire is the driver. High: after layout (NeuroSim)."""
    at = _Common(table)
    nominal = 0.0 if bits == 1 else at("zigzag-imc", "dac_bit_capacitance") * bits * at.farad_to_j
    return Range(nominal, nominal, nominal * at("neurosim", "post_layout_ratio"))


def _aimc_adc_s(bits: int, devices: int, table: Table) -> Range:
    """b (k3 devices + k4)."""
    at = _Common(table)
    return _same(bits * (at("zigzag-imc", "adc_bit_row_time") * devices + at("zigzag-imc", "adc_bit_time")))


def aimc(table: Table = TABLE, name: str = "aimc-28nm") -> CrossbarProfile:
    """A formula for any resolution, for sweeps over bits: a lower bound, a seventh of measured silicon at 8 bits."""
    at = _Common(table)
    return CrossbarProfile(
        name=name,
        dac=Converter((1, 11), partial(_aimc_dac, table=table)),
        adc=Converter((1, 11), partial(_aimc_adc, table=table)),
        adc_s=partial(_aimc_adc_s, table=table),
        columns_per_adc=1,
        integrates=False,
        hold_j=at.hold,
        shift_add_j=at.shift_add,
        buffer_bit_j=at.buffer_bit,
        network_bit_j=at.network_bit,
        bus_bit_j=_same(at("isaac2016", "edram_bus_bit_energy")),
        packet_s=at.packet,
        port_bit_s=at.port_bit,
        bus_bit_s=at.bus_bit,
        neuron_j=at.neuron,
        note=(
            "converters by the 28 nm formula of zigzag-imc, fitted to SRAM macros; no clock, control or leakage; "
            "buffers and network: ISAAC and PUMA, 32 nm; neurons: PUMA and Aladdin; holds: PUMA and NeuRRAM"
        ),
    )


ISAAC, HERMES, AIMC = isaac(), hermes(), aimc()
CROSSBAR_PROFILES = {profile.name: profile for profile in (ISAAC, HERMES, AIMC)}
"""The profiles by name."""
OF_GROUP = {"isaac2016": isaac, "hermes2023": hermes, "zigzag-imc": aimc}
"""How a profile is made of a table, by the group that gives it its character."""


def crossbar_profiles(own: Sequence[OwnProfile] = ()) -> dict[str, CrossbarProfile]:
    """The published profiles, and those of a user's own constants that are like one of them."""
    made = {
        one.name: OF_GROUP[one.like]({**TABLE, one.like: one.constants}, one.name)
        for one in own
        if one.like in OF_GROUP
    }
    return {**CROSSBAR_PROFILES, **made}
