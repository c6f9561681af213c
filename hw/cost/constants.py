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

UNITS = ("J", "s", "W", "op/s", "B/s", "1")
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

KERAS_SPIKING = {
    "cpu_mac_energy": _keras_spiking(8.6e-9, "J", "Intel Core i7-4960X, 22 nm"),
    "gpu_mac_energy": _keras_spiking(0.3e-9, "J", "Nvidia GTX Titan Black, 28 nm"),
}
"""Whole-processor joules per multiply-accumulate; their authors call them "very rough estimates only"."""

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

TABLE = {
    "davies2018": DAVIES_2018,
    "sanafe": SANAFE_2025,
    "loihi1": LOIHI_1,
    "loihi2": LOIHI_2,
    "horowitz2014": HOROWITZ_2014,
    "keras-spiking": KERAS_SPIKING,
    **{f"gpu-{name}": peaks for name, peaks in GPUS.items()},
}
"""Every constant, by group and name."""
