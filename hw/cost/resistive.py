"""What a circuit that settles by itself would spend: heat until it is at rest, drivers, and converters at its ends.

    E = heat + drivers + inputs * e_dac + outputs * e_adc
    drivers = P * t,   P = sum over driven lines of V n V_T 2 pi f C,   2 pi f = driver_speed / tau

Heat is that of the ledger: what resistors, diodes and capacitors took while the machine settled. A line of C farads is
driven by a transistor in weak inversion, whose transconductance I / (n V_T) must be 2 pi f C to follow at frequency f.
All capacities are known within a factor of five, and time, heat and what drivers take are proportional to them.

|            | low                | nominal                | high                 |
|------------|--------------------|------------------------|----------------------|
| capacities | nominal / 5        | of the machine         | nominal * 5          |
| drivers    | as above / 10      | as above               | as above * 10        |
| converters | lowest published   | those of the profile   | highest published    |

Not included: getting pixels onto the chip and answers off it, writing the conductances, leakage.
"""

from __future__ import annotations

from hw.cost.constants import NEUROSIM, NEURRAM_2022, PHYSICS, RESISTIVE
from hw.cost.cost import Cost, Range
from hw.cost.crossbar_profiles import CROSSBAR_PROFILES
from hw.ledger import Ledger, counted

SPREAD = RESISTIVE["capacitance_ratio"].high
"""Factor by which capacities may be larger or smaller."""
CELL_F = (
    NEUROSIM["wire_capacitance"].nominal * NEURRAM_2022["cell_pitch"].nominal + RESISTIVE["device_capacitance"].nominal
)
"""Of a cell at each end: wire (NeuroSim) over the pitch of a cell of NeuRRAM, and that of the device."""
NODE_F = RESISTIVE["node_capacitance"].nominal
"""Of the diode and what senses a node."""
DRIVER_SPREAD = RESISTIVE["driver_ratio"].high
"""Factor by which drivers may take more or less."""
CONVERTERS = "aimc-28nm"
"""Whose converters stand at the ends."""


def driver_w(line_f: float, tau_s: float, supply_v: float) -> float:
    """Watts of drivers of lines of `line_f` farads in all."""
    slope, speed = RESISTIVE["weak_inversion_slope"].nominal, RESISTIVE["driver_speed"].nominal
    return supply_v * slope * PHYSICS["thermal_voltage"].nominal * speed * line_f / tau_s


def resistive_cost(ledger: Ledger, drivers_w: float, inputs: int, outputs: int, bits: int = 8) -> Cost:
    """Cost of one image; ValueError for a ledger of a machine with a clock."""
    analog, profile = counted(ledger.analog, "analog"), CROSSBAR_PROFILES[CONVERTERS]
    heat = {part: joules / ledger.images for part, joules in analog.energy_j.items() if joules > 0}
    seconds = analog.settled_s / ledger.images
    dac = profile.dac.price_j(bits, "bits", profile.name)
    adc = profile.adc.price_j(bits, "bits", profile.name)
    drivers = drivers_w * seconds
    array = sum(heat.values())
    ends = Range(
        inputs * dac.low + outputs * adc.low,
        inputs * dac.nominal + outputs * adc.nominal,
        inputs * dac.high + outputs * adc.high,
    )
    breakdown = {**heat, "drivers": drivers, "dac": inputs * dac.nominal, "adc": outputs * adc.nominal}
    return Cost(
        energy_j=Range(
            (array + drivers / DRIVER_SPREAD) / SPREAD + ends.low,
            sum(breakdown.values()),
            (array + drivers * DRIVER_SPREAD) * SPREAD + ends.high,
        ),
        latency_s=Range(seconds / SPREAD, seconds, seconds * SPREAD),
        breakdown_j=breakdown,
        profile="settling-circuit",
        note="modelled heat of the circuit; capacities within a factor of 5, drivers of 10; images are not moved",
    )


def thermal_limit_j(nodes: int, bits: int) -> float:
    """12 kT 4**bits for every node: 8 kT times the signal-to-noise ratio 1.5 * 4**bits of so many bits (Vittoz)."""
    return nodes * PHYSICS["sample_kt"].nominal * PHYSICS["kt_energy"].nominal * 4**bits
