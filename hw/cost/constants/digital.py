"""Constants of clocked digital hardware: arithmetic, memory, processors."""

from __future__ import annotations

from functools import partial

from hw.cost.constants.constant import Constant

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
    "add_int8_energy": _horowitz(0.03e-12, "J"),
    "add_int16_energy": _horowitz(0.05e-12, "J"),
    "add_int32_energy": _horowitz(0.1e-12, "J"),
    "add_fp16_energy": _horowitz(0.4e-12, "J"),
    "add_fp32_energy": _horowitz(0.9e-12, "J"),
    "multiply_int8_energy": _horowitz(0.2e-12, "J"),
    "multiply_int32_energy": _horowitz(3.1e-12, "J"),
    "multiply_fp16_energy": _horowitz(1.1e-12, "J"),
    "multiply_fp32_energy": _horowitz(3.7e-12, "J"),
    "sram_8kb_64bit_energy": _horowitz(10e-12, "J"),
    "sram_32kb_64bit_energy": _horowitz(20e-12, "J"),
    "sram_1mb_64bit_energy": _horowitz(100e-12, "J"),
    "dram_64bit_energy": _horowitz(
        1.95e-9, "J", bounds=(1.3e-9, 2.6e-9), note="published as 1.3 to 2.6 nJ; nominal: the middle, which is ours"
    ),
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

_jouppi = partial(
    Constant,
    node="7 nm",
    source="Jouppi et al., Ten Lessons From Three Generations, ISCA 2021, doi:10.1109/ISCA52012.2021.00010, Table 2",
    kind="simulated",
)


def _jouppi_sum(value: float, arithmetic: str) -> Constant:
    constant: Constant = _jouppi(value, "J")
    return Constant(value, "J", constant.node, f"{constant.source}: {arithmetic}", "derived")


JOUPPI_2021 = {
    "multiply_int8_energy": _jouppi(0.07e-12, "J"),
    "multiply_bf16_energy": _jouppi(0.21e-12, "J"),
    "multiply_fp32_energy": _jouppi(1.31e-12, "J"),
    "add_int32_energy": _jouppi(0.03e-12, "J"),
    "add_fp32_energy": _jouppi(0.38e-12, "J"),
    "mac_int8_energy": _jouppi_sum(0.1e-12, "int8 multiply 0.07 pJ + int32 add 0.03 pJ"),
    "mac_fp32_energy": _jouppi_sum(1.69e-12, "fp32 multiply 1.31 pJ + fp32 add 0.38 pJ"),
}
"""Arithmetic in 7 nm, by the makers of a tensor processor."""

_keller = partial(
    Constant,
    source="Keller et al., IEEE JSSC 58(4):1129, 2023, doi:10.1109/JSSC.2023.3234893",
    kind="measured",
)

KELLER_2023 = {
    "int8_efficiency": _keller(39.1e12, "op/J", "5 nm, 0.46 V"),
    "int4_efficiency": _keller(95.6e12, "op/J", "5 nm, 0.46 V", note="with a scale for every vector of 16"),
    "int8_mac_energy": Constant(
        2 / 39.1e12,
        "J",
        "5 nm, 0.46 V",
        "Keller et al., IEEE JSSC 58(4):1129, 2023, doi:10.1109/JSSC.2023.3234893: 39.1 TOPS/W, 2 / 39.1e12",
        "derived",
    ),
}
"""The best digital inference measured on silicon, a whole accelerator."""

_HBM = "O'Connor et al., Fine-Grained DRAM, MICRO 2017, doi:10.1145/3123939.3124545"
_BOARD = "Antepara et al., SC 2025, doi:10.1145/3712285.3759815, Table 3, regressed from the power of the board"

MEMORY = {
    "hbm2_bit_energy": Constant(3.92e-12, "J", "HBM2", _HBM, "simulated", note="one bit; row, die, I/O and ECC"),
    "hbm_a100_bit_energy": Constant(
        13.11e-12, "J", "A100 board", _BOARD, "fitted", note="one bit, controller included"
    ),
    "hbm_gh200_bit_energy": Constant(11.68e-12, "J", "GH200", _BOARD, "fitted", note="one bit, controller included"),
    "lpddr_bit_energy": Constant(
        3.7e-12, "J", "LPDDR", "KULeuven-MICAS/zigzag-imc, Aimc.py: default of one bit", "assumed"
    ),
}
"""Memory beside the chip."""
