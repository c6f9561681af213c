"""What no machine goes below, and what circuits without published prices are assumed to be."""

from __future__ import annotations

from math import log

from hw.cost.constants.constant import Constant

_K = 1.380649e-23
_Q = 1.602176634e-19
_T = 300.0
_SI = "SI Brochure, 9th edition, 2019: exact by definition"

PHYSICS = {
    "boltzmann": Constant(_K, "J/K", "any", _SI, "derived"),
    "elementary_charge": Constant(_Q, "C", "any", _SI, "derived"),
    "temperature": Constant(_T, "K", "any", "room temperature of all limits below, by convention", "assumed"),
    "kt_energy": Constant(_K * _T, "J", "any", f"{_SI}; k T, 1.380649e-23 * 300.0", "derived"),
    "thermal_voltage": Constant(
        _K * _T / _Q, "V", "any", f"{_SI}; k T / q, 1.380649e-23 * 300.0 / 1.602176634e-19", "derived"
    ),
    "landauer_bit_energy": Constant(
        _K * _T * log(2),
        "J",
        "any",
        "Landauer, IBM J. Res. Dev. 5(3):183, 1961: k T ln 2 for a bit that is erased",
        "derived",
    ),
    "sample_kt": Constant(
        12,
        "1",
        "any",
        "Vittoz, ISCAS 1990; Sarpeshkar, Neural Comput. 10:1601, 1998: 8 k T SNR for a pole, SNR = 1.5 * 4**bits",
        "derived",
        note="k T 4**bits of one sample at so many bits",
    ),
    "column_read_kt": Constant(
        24,
        "1",
        "any",
        "Agarwal et al., Front. Neurosci. 9:484, 2016, doi:10.3389/fnins.2015.00484: 2 k T SNR for a column, however "
        "many rows; the last bit is sqrt(12) sigma, 2 * 12",
        "derived",
        note="k T 4**bits of one column read at so many bits",
    ),
}
"""Thermal limits at 300 K."""

RESISTIVE = {
    "device_capacitance": Constant(
        0.1e-15,
        "F",
        "any",
        "assumed: a plate of 100 nm x 100 nm over 10 nm of oxide is 0.09 fF at a relative 10, and its junction",
        "assumed",
    ),
    "node_capacitance": Constant(
        10e-15,
        "F",
        "any",
        "assumed: the diode and what senses a node, a few square micrometres of gate and junction",
        "assumed",
    ),
    "capacitance_ratio": Constant(
        1, "1", "any", "assumed: all capacities are known within a factor of five", "assumed", bounds=(1 / 5, 5)
    ),
    "driver_ratio": Constant(
        1,
        "1",
        "any",
        "assumed: class AB drivers take less, linear amplifiers in strong inversion more",
        "assumed",
        bounds=(1 / 10, 10),
    ),
    "driver_speed": Constant(
        10, "1", "any", "assumed: a driver is so much faster than the slowest time constant of the circuit", "assumed"
    ),
    "weak_inversion_slope": Constant(
        1.3,
        "1",
        "any",
        "usual in weak inversion: Enz, Krummenacher and Vittoz, Analog Integr. Circ. 8:83, 1995",
        "derived",
    ),
}
"""A circuit that settles by itself: nobody has published prices of its parts."""
