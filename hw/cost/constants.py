"""The one table of cited constants, in SI units.

Nothing here is guessed: a figure without a source is not in the table. Where two sources disagree on the same thing,
both are kept under the name of their source. Most papers were read through another project's verbatim quotation of
the table, not in print: check the primary before printing a figure. `kind` says how the source got its number:

- measured:  read off silicon
- simulated: circuit simulation or synthesis
- fitted:    regression of a model on measurements
- derived:   arithmetic on published numbers, shown in the source field
- vendor:    data sheet or brief of the maker, without a method
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

Kind = Literal["measured", "simulated", "fitted", "derived", "vendor"]

UNITS = ("J", "s", "W", "V", "F", "F/m", "m", "op/s", "op/J", "B/s", "1")
"""Units a constant may have; "1" is a count or a ratio, and a multiply-accumulate is two "op"."""


@dataclass(frozen=True)
class Constant:
    """One published number."""

    value: float
    unit: str
    """One of `UNITS`."""
    node: str
    """Process and supply voltage the number holds for."""
    source: str
    """Where it was published, precise enough to find it again."""
    kind: Kind


_davies = partial(
    Constant,
    node="Intel 14 nm FinFET, 0.75 V",
    source="Davies et al., Loihi, IEEE Micro 38(1):82-99, 2018, Table 2 (pre-silicon SDF and SPICE)",
    kind="simulated",
)

DAVIES_2018 = {
    "synapse_energy": _davies(23.6e-12, "J"),
    "synapse_time": _davies(3.5e-9, "s"),
    "stdp_energy": _davies(120e-12, "J"),
    "stdp_time": _davies(6.1e-9, "s"),
    "neuron_active_energy": _davies(81e-12, "J"),
    "neuron_active_time": _davies(8.4e-9, "s"),
    "neuron_inactive_energy": _davies(52e-12, "J"),
    "neuron_inactive_time": _davies(5.3e-9, "s"),
    "within_tile_energy": _davies(1.7e-12, "J"),
    "within_tile_time": _davies(2.1e-9, "s"),
    "hop_ew_energy": _davies(3.0e-12, "J"),
    "hop_ew_time": _davies(4.1e-9, "s"),
    "hop_ns_energy": _davies(4.0e-12, "J"),
    "hop_ns_time": _davies(6.5e-9, "s"),
    "barrier_1_tile_time": _davies(113e-9, "s"),
    "barrier_32_tiles_time": _davies(465e-9, "s"),
}
"""Loihi 1 before silicon. The synapse energy is published as a minimum, its time as a maximum. No energy of a barrier,
of a spike leaving a neuron or of a link between chips is published."""

_sanafe = partial(
    Constant,
    node="Intel 14 nm FinFET, Nahuku board",
    source=(
        "SANA-FE arch/loihi.yaml (SLAM-Lab/SANA-FE, 2026-05-28); regression on a Nahuku board, Boyle et al., "
        "IEEE TCAD 2025, doi:10.1109/TCAD.2025.3537971, errors up to 11.7 % (energy) and 24.3 % (latency)"
    ),
    kind="fitted",
)

SANAFE_2025 = {
    "synapse_dense_energy": _sanafe(35.5e-12, "J"),
    "synapse_dense_time": _sanafe(3.8e-9, "s"),
    "synapse_sparse_energy": _sanafe(33.6e-12, "J"),
    "synapse_sparse_time": _sanafe(4.7e-9, "s"),
    "synapse_conv_energy": _sanafe(24.0e-12, "J"),
    "synapse_conv_time": _sanafe(3.1e-9, "s"),
    "neuron_access_energy": _sanafe(51.2e-12, "J"),
    "neuron_access_time": _sanafe(6.0e-9, "s"),
    "neuron_update_energy": _sanafe(21.6e-12, "J"),
    "neuron_update_time": _sanafe(3.7e-9, "s"),
    "spike_out_energy": _sanafe(69.3e-12, "J"),
    "spike_out_time": _sanafe(30.0e-9, "s"),
    "message_out_energy": _sanafe(111e-12, "J"),
    "message_out_time": _sanafe(5.1e-9, "s"),
    "message_in_energy": _sanafe(0.0, "J"),
    "message_in_time": _sanafe(16.0e-9, "s"),
    "hop_ew_energy": _sanafe(3.0e-12, "J"),
    "hop_ew_time": _sanafe(4.1e-9, "s"),
    "hop_ns_energy": _sanafe(4.2e-12, "J"),
    "hop_ns_time": _sanafe(6.5e-9, "s"),
    "sync_1_tile_time": _sanafe(0.6e-6, "s"),
    "sync_2_tiles_time": _sanafe(1.0e-6, "s"),
    "sync_4_tiles_time": _sanafe(1.4e-6, "s"),
    "sync_29_tiles_time": _sanafe(1.8e-6, "s"),
}
"""Loihi 1 on silicon. The header of the file credits Davies 2018, of which only the hops come, N-S energy excepted."""

LOIHI_1 = {
    "static_power": Constant(
        3.34 / 32,
        "W",
        "Intel 14 nm FinFET, voltage not stated",
        "Frady et al., NICE 2020, doi:10.1145/3381755.3398695, Table 1: static 3.34 W for 32 chips, 3.34/32 W",
        "derived",
    ),
    "cores_per_chip": Constant(
        128, "1", "Intel 14 nm FinFET", "Davies et al., Loihi, IEEE Micro 38(1):82-99, 2018, p. 86", "vendor"
    ),
    "cores_per_tile": Constant(
        4,
        "1",
        "Intel 14 nm FinFET",
        "Davies et al. 2018: 128 cores (p. 86) over the 32 tiles of the barrier row of Table 2, 128/32",
        "derived",
    ),
}
"""Loihi 1 as a chip. Static power was measured at an unknown voltage: adding it to energies at 0.75 V mixes two
operating points."""

_loihi2 = partial(
    Constant,
    node="Intel 4 pre-production",
    source=(
        "Intel, Taking Neuromorphic Computing to the Next Level with Loihi 2, technology brief, 2021 "
        "(neuromorphic-computing-loihi-2-brief.pdf)"
    ),
    kind="vendor",
)

LOIHI_2 = {
    "neuron_speedup": _loihi2(2, "1"),
    "synapse_speedup": _loihi2(5, "1"),
    "spike_speedup": _loihi2(10, "1"),
    "step_time": _loihi2(200e-9, "s"),
}
"""Loihi 2 over Loihi 1, and the shortest chip-wide time step, of which the brief says "under 200ns". No energy of any
operation is published."""

_horowitz = partial(
    Constant,
    node="45 nm, 0.9 V",
    source="Horowitz, Computing's energy problem, ISSCC 2014, doi:10.1109/ISSCC.2014.6757323",
    kind="simulated",
)


def _horowitz_sum(value: float, arithmetic: str) -> Constant:
    constant: Constant = _horowitz(value, "J")
    return Constant(value, "J", constant.node, f"{constant.source}: {arithmetic}", "derived")


HOROWITZ_2014 = {
    "mac_fp32_energy": _horowitz_sum(4.6e-12, "fp32 multiply 3.7 pJ + fp32 add 0.9 pJ"),
    "mac_fp16_energy": _horowitz_sum(1.5e-12, "fp16 multiply 1.1 pJ + fp16 add 0.4 pJ"),
    "mac_int8_add32_energy": _horowitz_sum(0.3e-12, "int8 multiply 0.2 pJ + int32 add 0.1 pJ"),
    "mac_int8_add8_energy": _horowitz_sum(0.23e-12, "int8 multiply 0.2 pJ + int8 add 0.03 pJ, as spiking papers count"),
    "add_fp32_energy": _horowitz(0.9e-12, "J"),
    "add_int32_energy": _horowitz(0.1e-12, "J"),
    "sram_8kb_64bit_energy": _horowitz(10e-12, "J"),
    "sram_8kb_32bit_energy": _horowitz_sum(5e-12, "half of a 64-bit access of an 8 KB SRAM, 10 pJ"),
}
"""Arithmetic and small memory of a 2014 processor, without fetch, decode and caches."""

_keras_spiking = partial(
    Constant,
    source=(
        "nengo/keras-spiking, keras_spiking/model_energy.py, ModelEnergy.devices, after Degnan, Marr and Hasler, "
        "IEEE TVLSI 24(1):58-66, 2016"
    ),
    kind="derived",
)

_spinnaker = partial(
    Constant,
    source="nengo/keras-spiking, keras_spiking/model_energy.py, ModelEnergy.devices, spinnaker and spinnaker2",
    kind="derived",
)

KERAS_SPIKING = {
    "cpu_mac_energy": _keras_spiking(8.6e-9, "J", "Intel Core i7-4960X, 22 nm"),
    "gpu_mac_energy": _keras_spiking(0.3e-9, "J", "Nvidia GTX Titan Black, 28 nm"),
    "spinnaker_synapse_energy": _spinnaker(13.3e-9, "J", "SpiNNaker, 130 nm"),
    "spinnaker_neuron_energy": _spinnaker(26e-9, "J", "SpiNNaker, 130 nm"),
    "spinnaker2_synapse_energy": _spinnaker(450e-12, "J", "SpiNNaker 2, 22 nm"),
    "spinnaker2_neuron_energy": _spinnaker(2.19e-9, "J", "SpiNNaker 2, 22 nm"),
}
"""Whole-processor joules per multiply-accumulate, synaptic event or neuron update; their authors call them "very rough
estimates only"."""

_H200 = partial(
    Constant,
    node="TSMC 4N, SXM board",
    source="Nvidia H200 data sheet, by hmc-tech.com, nanochat common.py (FP16) and geektopia.es (700 W, 4.8 TB/s)",
    kind="vendor",
)
_H100 = partial(
    Constant,
    node="TSMC 4N, SXM5 board",
    source="Nvidia H100 data sheet, by glennklockwood.com/garden/processors/h100 and archive-lib.hpctech.co.jp (dense)",
    kind="vendor",
)
_A100 = partial(
    Constant,
    node="TSMC 7 nm, SXM4 board",
    source="Nvidia A100 data sheet, by glennklockwood.com/garden/processors/A100 (dense)",
    kind="vendor",
)
_T4 = partial(
    Constant,
    node="TSMC 12 nm, PCIe card",
    source="Nvidia T4 data sheet, by sysrqmts.com/en/gpus/nvidia/tesla/t4 and geektopia.es (INT8)",
    kind="vendor",
)

GPUS = {
    "h200": {
        "tdp": _H200(700, "W"),
        "peak_fp32": _H200(66.9e12, "op/s"),
        "peak_fp16": _H200(989e12, "op/s"),
        "peak_int8": _H200(1979e12, "op/s"),
        "bandwidth": _H200(4800e9, "B/s"),
    },
    "h100-sxm": {
        "tdp": _H100(700, "W"),
        "peak_fp32": _H100(66.9e12, "op/s"),
        "peak_fp16": _H100(989.4e12, "op/s"),
        "peak_int8": _H100(1978.9e12, "op/s"),
        "bandwidth": _H100(3350e9, "B/s"),
    },
    "a100-sxm-80gb": {
        "tdp": _A100(400, "W"),
        "peak_fp32": _A100(19.5e12, "op/s"),
        "peak_fp16": _A100(312e12, "op/s"),
        "peak_int8": _A100(624e12, "op/s"),
        "bandwidth": _A100(2039e9, "B/s"),
    },
    "a100-sxm-40gb": {
        "tdp": _A100(400, "W"),
        "peak_fp32": _A100(19.5e12, "op/s"),
        "peak_fp16": _A100(312e12, "op/s"),
        "peak_int8": _A100(624e12, "op/s"),
        "bandwidth": _A100(1555e9, "B/s"),
    },
    "t4": {
        "tdp": _T4(70, "W"),
        "peak_fp32": _T4(8.14e12, "op/s"),
        "peak_fp16": _T4(65.1e12, "op/s"),
        "peak_int8": _T4(130e12, "op/s"),
        "bandwidth": _T4(320e9, "B/s"),
    },
}
"""Peaks of a whole board: `peak_fp32` outside the tensor cores, `peak_fp16` and `peak_int8` inside. Dense peaks: web
pages that give twice as much quote the 2:4 sparse ones."""

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

NEURRAM_2022 = {
    "cell_pitch": Constant(
        126**0.5 * 130e-9,
        "m",
        "130 nm",
        "Wan et al., NeuRRAM, Nature 608:504, 2022, by CiMLoop, rram_wan_nature_2022: a cell of 126 F**2, its root",
        "derived",
    ),
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

TABLE = {
    "davies2018": DAVIES_2018,
    "sanafe": SANAFE_2025,
    "loihi1": LOIHI_1,
    "loihi2": LOIHI_2,
    "horowitz2014": HOROWITZ_2014,
    "keras-spiking": KERAS_SPIKING,
    "isaac2016": ISAAC_2016,
    "puma2019": PUMA_2019,
    "accelergy-adc": ACCELERGY_ADC,
    "murmann2025": MURMANN_2025,
    "zigzag-imc": ZIGZAG_IMC,
    "aladdin2014": ALADDIN_2014,
    "neurram2022": NEURRAM_2022,
    "hermes2023": HERMES_2023,
    "neurosim": NEUROSIM,
    **{f"gpu-{name}": peaks for name, peaks in GPUS.items()},
}
"""Every constant, by group and name."""
