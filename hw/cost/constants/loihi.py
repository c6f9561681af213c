"""Constants of Intel's neuromorphic chips."""

from __future__ import annotations

from functools import partial

from hw.cost.constants.constant import Constant

_davies = partial(
    Constant,
    node="Intel 14 nm FinFET, 0.75 V",
    source="Davies et al., Loihi, IEEE Micro 38(1):82-99, 2018, Table 2 (pre-silicon SDF and SPICE)",
    kind="simulated",
)

DAVIES_2018 = {
    "synapse_energy": _davies(
        23.6e-12,
        "J",
        bounds=(23.6e-12, 35.5e-12),
        note="published as a minimum; high: a dense synapse as fitted on silicon (SANA-FE)",
    ),
    "synapse_time": _davies(3.5e-9, "s", note="published as a maximum"),
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
"""Loihi 1 before silicon. No energy of a barrier, of a spike leaving a neuron or of a link between chips is
published."""

_SANAFE_ERROR = {"J": 0.117, "s": 0.243}
"""Largest error of whole workloads that its authors state, energy and latency."""


def _sanafe(value: float, unit: str) -> Constant:
    error = _SANAFE_ERROR[unit]
    return Constant(
        value,
        unit,
        node="Intel 14 nm FinFET, Nahuku board",
        source=(
            "SANA-FE arch/loihi.yaml (SLAM-Lab/SANA-FE, 2026-05-28); regression on a Nahuku board, Boyle et al., "
            "IEEE TCAD 2025, doi:10.1109/TCAD.2025.3537971"
        ),
        kind="fitted",
        bounds=(value * (1 - error), value * (1 + error)),
        note=f"bounds: the error of whole workloads, up to {100 * error:.1f} %, put on every coefficient",
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

_DAVIES_TEXT = "Davies et al., Loihi, IEEE Micro 38(1):82-99, 2018, p. 86 and table 1"
_NENGO = "nengo/nengo-loihi, nengo_loihi/block.py: 4096 axons into and 4096 out of a core"

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
    "units_per_core": Constant(1024, "1", "Intel 14 nm FinFET", _DAVIES_TEXT, "vendor", note="compartments"),
    "synapse_memory_per_core": Constant(128 * 1024, "B", "Intel 14 nm FinFET", _DAVIES_TEXT, "vendor"),
    "axons_in_per_core": Constant(4096, "1", "Intel 14 nm FinFET", _NENGO, "vendor"),
    "axons_out_per_core": Constant(4096, "1", "Intel 14 nm FinFET", _NENGO, "vendor"),
    "tiles_per_row": Constant(
        8, "1", "Intel 14 nm FinFET", "SANA-FE arch/loihi.yaml: 32 tiles of 4 cores on a mesh of 8 x 4", "vendor"
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

_BEST = (
    "a best case of the maker; low: as slow as Loihi 1, since PilotNet took 1.3 times as long on silicon as these "
    "ratios alone say"
)

LOIHI_2 = {
    "neuron_speedup": _loihi2(2, "1", bounds=(1, 2), note=_BEST),
    "synapse_speedup": _loihi2(5, "1", bounds=(1, 5), note=_BEST),
    "spike_speedup": _loihi2(10, "1", bounds=(1, 10), note=_BEST),
    "step_time": _loihi2(200e-9, "s"),
    "units_per_core": _loihi2(8192, "1", note="up to"),
    "synapse_memory_per_core": _loihi2(128 * 1024, "B", note="up to; 192 KB with the memory of neurons"),
    "cores_per_chip": _loihi2(128, "1"),
    "cores_per_tile": Constant(
        1,
        "1",
        "Intel 4 pre-production",
        "open-neuromorphic.org, Loihi 2: 128 neuro-cores on a mesh of 8 x 16",
        "vendor",
    ),
    "tiles_per_row": Constant(
        8,
        "1",
        "Intel 4 pre-production",
        "open-neuromorphic.org, Loihi 2: 128 neuro-cores on a mesh of 8 x 16",
        "vendor",
    ),
}
"""Loihi 2 over Loihi 1, and the shortest chip-wide time step, of which the brief says "under 200ns". No energy of any
operation is published."""
