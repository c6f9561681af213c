"""Constants of crossbars and of what stands around them."""

from __future__ import annotations

from functools import partial

from hw.cost.constants.constant import Constant

_LIBRARY = "Accelergy-Project/hwcomponents-library, hwcomponents_library/library"
_ISAAC_PAPER = "Shafiee et al., ISAAC, ISCA 2016, doi:10.1109/ISCA.2016.12"


def _isaac(value: float, unit: str, arithmetic: str) -> Constant:
    return Constant(value, unit, "32 nm", f"{_ISAAC_PAPER}, by {_LIBRARY}/isaac.py: {arithmetic}", "derived")


def _isaac_adc(value: float, bits: int) -> Constant:
    return _isaac(value, "J", f"8 b of Kull et al., ISSCC 2013, scaled to {bits} b after Saberi et al., TCAS-I 2011")


ISAAC_2016 = {
    "adc_4b_energy": _isaac_adc(0.79e-12, 4),
    "adc_5b_energy": _isaac_adc(0.99e-12, 5),
    "adc_6b_energy": _isaac_adc(1.20e-12, 6),
    "adc_7b_energy": _isaac_adc(1.42e-12, 7),
    "adc_8b_energy": _isaac(16e-3 / 9.6e9, "J", "16 mW over 8 ADCs (Kull et al., ISSCC 2013) of 1.2 GS/s, 16e-3/9.6e9"),
    "adc_9b_energy": _isaac_adc(1.969e-12, 9),
    "adc_10b_energy": _isaac_adc(2.379e-12, 10),
    "adc_8b_time": _isaac(1 / 1.2e9, "s", "1/1.2e9, 1.2 GS/s (Kull et al., ISSCC 2013)"),
    "columns_per_adc": _isaac(128, "1", "one ADC per 128 x 128 crossbar, 8 ADCs and 8 crossbars in a unit"),
    "dac_1b_energy": _isaac(0.41667e-12, "J", "4 mW over 128 * 8 drivers at 12 MHz, * 128/100 for cycles without work"),
    "shift_add_energy": _isaac(0.021e-12, "J", "16 b; 0.2 mW over 9.6e9 conversions/s, 0.2e-3/9.6e9"),
    "edram_bytes": Constant(
        64 * 1024,
        "B",
        "32 nm",
        f"{_ISAAC_PAPER}, table I: 64 KB of eDRAM in a tile",
        "derived",
        note="shared by the 96 crossbars of 128 x 128 cells of a tile there; here it is that of one tile of weights",
    ),
    "edram_256b_energy": _isaac(20.45e-12, "J", "one 256 b access of 64 KB; 20.7 mW over the accesses of 12 units"),
    "edram_bus_bit_energy": _isaac(0.054e-12, "J", "one bit between eDRAM and unit; 7 mW over 12 units"),
    "router_256b_energy": _isaac(20.74e-12, "J", "256 b through one router; 42 mW over 4 tiles of 12 units"),
    "chip_link_128b_energy": Constant(
        26e-12, "J", "65 nm", f"{_ISAAC_PAPER}, by {_LIBRARY}/isaac.py: 128 b between chips", "derived"
    ),
    "read_time": _isaac(100e-9, "s", "one read of a crossbar, 10 MHz"),
}
"""ISAAC, a design that was never built. The ADC is silicon at 8 b. The code of the library scales its ADC by 2**(b - 8)
instead of the list in its own comment, which is used here."""

_puma = partial(Constant, node="32 nm, 0.9 V", kind="derived")
_PUMA = "Aayush-Ankit/puma-simulator, include/example-constants/constants-128.py, after ISAAC"
_PUMA_CONFIG = "Aayush-Ankit/puma-simulator, include/example-configs/config-cnn.py"

PUMA_2019 = {
    "adc_square_bit_energy": _puma(
        0.25e-3 * 12.5e-9 / 128,
        "J",
        source=f"{_PUMA}: b bits take 0.25 b mW for 12.5 b ns per 128 columns; 0.25e-3 * 12.5e-9 / 128, times b**2",
    ),
    "adc_bit_time": _puma(12.5e-9 / 128, "s", source=f"{_PUMA}: 12.5 b ns per 128 columns, 12.5e-9 / 128, times b"),
    "dac_1b_energy": _puma(
        3.896875e-6 * 1e-9, "J", source=f"{_PUMA}: (3.50625 + 0.390625) uW for the 1 ns it charges, 3.896875e-6 * 1e-9"
    ),
    "hold_1ns_energy": _puma(9.7e-9 * 1e-9, "J", source=f"{_PUMA}: 9.7 nW for the 1 ns it charges, 9.7e-9 * 1e-9"),
    "hold_100ns_energy": _puma(
        9.7e-9 * 100e-9, "J", source=f"{_PUMA}: 9.7 nW for one ISAAC read of 100 ns, 9.7e-9 * 100e-9"
    ),
    "shift_add_energy": _puma(0.05e-3 * 1e-9, "J", source=f"{_PUMA}: 0.05 mW for 1 ns, 0.05e-3 * 1e-9"),
    "activation_energy": _puma(0.26e-3 * 1e-9, "J", source=f"{_PUMA}: sigmoid unit, 0.26 mW for 1 ns, 0.26e-3 * 1e-9"),
    "mesh_packet_time": _puma(
        34e-9,
        "s",
        source=f"{_PUMA}: noc_lat_dict, cycles of 1 ns from one tile of 168 to another; 34 at 0.01 packets a cycle",
        bounds=(29e-9, 115e-9),
        note="of a packet of 256 b on a mesh of routers with 4 tiles each; bounds: 0.001 and 0.025 packets a cycle",
    ),
    "mesh_port_rate": _puma(
        4e9,
        "B/s",
        source=f"{_PUMA_CONFIG}: flit_width 32 b, a flit in a cycle of 1 ns, 4/1e-9 B/s",
        bounds=(1e9, 4e9),
        note="of one tile; low: the 4 tiles of a router (cmesh_c) take turns",
    ),
    "bus_rate": _puma(
        32e9,
        "B/s",
        source=f"{_PUMA_CONFIG}: edram_buswidth 256 b in a cycle of 1 ns (edram_bus_lat), 32/1e-9 B/s",
        bounds=(24e9, 48e9),
        note="bounds: the 384 wires of ISAAC in two cycles, as its comment has them, and in one",
    ),
    "crossbar_read_energy": _puma(
        0.3e-3 * 100e-9, "J", source=f"{_PUMA}: 128 x 128 cells of 2 b, 0.3 mW for 100 ns, 0.3e-3 * 100e-9"
    ),
}
"""PUMA and PANTHER: the parts of ISAAC with other times. Its table charges a driver and a hold for 1 ns of a read that
lasts 100 ns."""


def _accelergy(value: float, bits: int) -> Constant:
    return Constant(
        value,
        "J",
        "32 nm, 1.2 GS/s",
        "Accelergy-Project/accelergy-adc-plug-in, model.py and adc_data/model.yaml, fit to the survey of Murmann, at "
        f"b = {bits}: 0.5 * 10**((6.0206 b + 1.7609 - F) / 10) * exp(26.0496 + 1.88004 ln 32 - 2.82913 ln b - 1.4702), "
        "F = min(213.7807 - 2.87190 ln 1.2e9, 128.3068 + 3.22051 b), in pJ",
        "derived",
    )


ACCELERGY_ADC = {
    "adc_4b_energy": _accelergy(0.924e-12, 4),
    "adc_5b_energy": _accelergy(0.936e-12, 5),
    "adc_6b_energy": _accelergy(1.065e-12, 6),
    "adc_7b_energy": _accelergy(1.312e-12, 7),
    "adc_8b_energy": _accelergy(1.849e-12, 8),
    "adc_9b_energy": _accelergy(5.299e-12, 9),
    "adc_10b_energy": _accelergy(15.73e-12, 10),
}
"""What a converter of that resolution and the rate of ISAAC's typically takes. At 100 MS/s and less the same fit gives
1.71 pJ at 8 b and 3.31 pJ at 10 b."""

_MURMANN = "Murmann, ADC Performance Survey 1997-2025, bmurmann/ADC-survey, 2025-06-09, 725 converters"

MURMANN_2025 = {
    "envelope_floor_energy": Constant(
        0.267e-12, "J", "any", f"{_MURMANN}: lower envelope of P/f, floor + level * 4**ENOB, as fitted here", "fitted"
    ),
    "envelope_level_energy": Constant(
        0.145e-18, "J", "any", f"{_MURMANN}: lower envelope of P/f, floor + level * 4**ENOB, as fitted here", "fitted"
    ),
}
"""The best converters published, of any process and rate: an optimistic figure."""

_zigzag = partial(Constant, node="28 nm, 0.9 V", kind="fitted")
_ZIGZAG = "KULeuven-MICAS/zigzag-imc, zigzag/classes/hardware/architecture"
_ZIGZAG_ADC = f"{_ZIGZAG}/AimcArrayUnit.py, get_adc_cost, by its comment validated against 3 AIMC papers on 28 nm"

ZIGZAG_IMC = {
    "supply": _zigzag(0.9, "V", source=f"{_ZIGZAG}/AimcArrayUnit.py, tech_param_28nm, vdd"),
    "adc_bit_capacitance": _zigzag(100e-15, "F", source=f"{_ZIGZAG_ADC}: E = (k5 b + k6 4**b) Vdd**2, k5"),
    "adc_level_capacitance": _zigzag(1e-18, "F", source=f"{_ZIGZAG_ADC}: E = (k5 b + k6 4**b) Vdd**2, k6"),
    "adc_bit_time": _zigzag(0.640e-9, "s", source=f"{_ZIGZAG_ADC}: t = b (k3 rows + k4), k4"),
    "adc_bit_row_time": _zigzag(0.00653e-9, "s", source=f"{_ZIGZAG_ADC}: t = b (k3 rows + k4), k3"),
    "dac_bit_capacitance": _zigzag(
        50e-15, "F", source=f"{_ZIGZAG}/AimcArrayUnit.py, get_dac_cost: E = k0 b Vdd**2, and nothing for 1 b; k0"
    ),
    "adder_bit_capacitance": _zigzag(
        4.2e-15,
        "F",
        source=f"{_ZIGZAG}/imc_unit.py: full adder of 3 NAND2 of 0.7 fF and 2 XOR2 of 1.05 fF, 3 * 0.7 + 2 * 1.05",
    ),
    "register_bit_capacitance": _zigzag(2.1e-15, "F", source=f"{_ZIGZAG}/imc_unit.py: flip-flop, 3 * 0.7 fF"),
}
"""Analog macros on SRAM in 28 nm. One version of get_adc_cost returns a fixed 188 fJ instead of its formula. The
area formula beside it (zigzag-imc/aimc_basics.py) ends below 12 b, and so does our use of it."""

_aladdin = partial(
    Constant,
    node="40 nm",
    source=f"Shao et al., Aladdin, ISCA 2014, doi:10.1109/ISCA.2014.6853196, by {_LIBRARY}/aladdin.py",
    kind="simulated",
)

ALADDIN_2014 = {
    "add_32b_energy": _aladdin(0.21e-12, "J"),
    "compare_32b_energy": _aladdin(0.02947e-12, "J"),
    "register_bit_energy": _aladdin(0.009e-12, "J"),
}
"""Synthesized arithmetic of accelerators."""

_neurram = partial(
    Constant,
    node="130 nm RRAM, 1.8 V",
    source="Wan et al., NeuRRAM, Nature 608:504, 2022, Fig. 12, as digitised in the tests of CiMLoop",
    kind="measured",
)

NEURRAM_2022 = {
    "cell_pitch": Constant(
        126**0.5 * 130e-9,
        "m",
        "130 nm",
        "Wan et al., NeuRRAM, Nature 608:504, 2022, by CiMLoop, rram_wan_nature_2022: a cell of 126 F**2, its root",
        "derived",
    ),
    "efficiency_4b_2b": _neurram(40.3e12, "op/J"),
    "efficiency_6b_4b": _neurram(16.0e12, "op/J"),
    "efficiency_8b_6b": _neurram(8.26e12, "op/J"),
    "efficiency_10b_8b": _neurram(6.44e12, "op/J", note="outputs of 10 bits, inputs of 8, weights of 4, as the others"),
    "sample_energy": Constant(
        1.2e-12, "J", "130 nm, 1.8 V", f"Wan et al., NeuRRAM, Nature 608:504, 2022, by {_LIBRARY}/neurram.py", "fitted"
    ),
}
"""The analog neuron of NeuRRAM takes and holds one sample."""

_CHIP = (
    "Le Gallo et al., A 64-core mixed-signal in-memory compute chip, Nat. Electron. 6:680, 2023, arXiv:2212.02872, "
    "abstract"
)
_CORE = "Khaddam-Aljameh et al., HERMES-Core, IEEE JSSC 57(4):1027, 2022, abstract"
_hermes = partial(Constant, node="14 nm, PCM, 8 b in and out")
_OPS = 2 * 256 * 256
_TYPICAL_J = 256 * 256 * 20.7e-6 * 0.2**2 * 133e-9 / 6

HERMES_2023 = {
    "cores": _hermes(64, "1", source=f"{_CHIP}: 64 cores of 256 x 256 weights", kind="measured"),
    "one_phase_throughput": _hermes(63.1e12, "op/s", source=_CHIP, kind="measured"),
    "one_phase_efficiency": _hermes(9.76e12, "op/J", source=_CHIP, kind="measured"),
    "four_phase_throughput": _hermes(16.1e12, "op/s", source=_CHIP, kind="measured"),
    "four_phase_efficiency": _hermes(2.48e12, "op/J", source=_CHIP, kind="measured"),
    "core_efficiency": _hermes(10.5e12, "op/J", source=_CORE, kind="measured"),
    "one_phase_read_time": _hermes(
        _OPS * 64 / 63.1e12,
        "s",
        source=f"{_CHIP}: 256 x 256 at 63.1 TOPS on 64 cores, 2 * 65536 * 64 / 63.1e12",
        kind="derived",
    ),
    "one_phase_read_energy": _hermes(
        _OPS / 9.76e12, "J", source=f"{_CHIP}: 256 x 256 at 9.76 TOPS/W, 2 * 65536 / 9.76e12", kind="derived"
    ),
    "four_phase_read_time": _hermes(
        _OPS * 64 / 16.1e12,
        "s",
        source=f"{_CHIP}: 256 x 256 at 16.1 TOPS on 64 cores, 2 * 65536 * 64 / 16.1e12",
        kind="derived",
    ),
    "four_phase_read_energy": _hermes(
        _OPS / 2.48e12, "J", source=f"{_CHIP}: 256 x 256 at 2.48 TOPS/W, 2 * 65536 / 2.48e12", kind="derived"
    ),
    "core_read_energy": _hermes(
        _OPS / 10.5e12, "J", source=f"{_CORE}: 256 x 256 at 10.5 TOPS/W, 2 * 65536 / 10.5e12", kind="derived"
    ),
    "array_read_energy": _hermes(
        _TYPICAL_J,
        "J",
        source=(
            "65536 pairs of 20.7 uS (g_max of IBM/aihwkit, inference/noise/hermes.py) at 0.2 V (usual for PCM, that of "
            "the chip was not found) for 133 ns are 7.2 nJ at most; / 6 with weights and voltages uniform up to full "
            "scale, mean g 1/2 and mean V**2 1/3 (an assumption: the operands of the measurement are not published)"
        ),
        kind="derived",
    ),
    "conversion_core_energy": _hermes(
        (_OPS / 10.5e12 - _TYPICAL_J) / 256,
        "J",
        source=f"{_CORE}: (core_read_energy - array_read_energy) / 256 columns, (12.48 - 1.20) nJ / 256",
        kind="derived",
    ),
    "conversion_one_phase_energy": _hermes(
        (_OPS / 9.76e12 - _TYPICAL_J) / 256,
        "J",
        source=f"{_CHIP}: (one_phase_read_energy - array_read_energy) / 256 columns, (13.43 - 1.20) nJ / 256",
        kind="derived",
    ),
    "conversion_four_phase_energy": _hermes(
        (_OPS / 2.48e12 - _TYPICAL_J) / 256,
        "J",
        source=(
            f"{_CHIP}: (four_phase_read_energy - array_read_energy) / 256 columns, (52.85 - 1.20) nJ / 256; a device "
            "conducts in one phase of the four (Extended Data Fig. 4), so the array takes as much as in one"
        ),
        kind="derived",
    ),
}
"""The IBM HERMES project chip. No breakdown of its energy was found, so a conversion stands for all but the devices:
row drivers, converters, digital post-processing of the core, control and clock."""

NEUROSIM = {
    "post_layout_ratio": Constant(
        1.22,
        "1",
        "TSMC 40 nm",
        "neurosim/DNN_NeuroSim_V1.4, Param.cpp, zeta: energy after layout over before, calibrated on silicon; the "
        "comment in main.cpp says 1.23",
        "fitted",
    ),
    "wire_capacitance": Constant(
        2e-10, "F/m", "any", "CiMLoop, component Wire of misc.py: 0.2 fF/um, which it takes from NeuroSim", "simulated"
    ),
}
"""What circuits gain in energy when they are laid out, and wires."""

MYTHIC_M1076 = {
    "mac_energy": Constant(
        0.27e-12,
        "J",
        "40 nm flash",
        "Mythic M1076, product page by hyundaimib.com: 26 TOPS of INT8 at 3 to 4 W, 3.5 / 13e12",
        "vendor",
        bounds=(3 / 13e12, 4 / 13e12),
    ),
}
"""A product: analog flash."""
