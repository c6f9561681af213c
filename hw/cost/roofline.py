"""What a clocked processor would spend on the multiply-accumulates and bytes of a ledger.

    t = max(2 * macs / peak, bytes / bandwidth)

per image: a processor is either busy with arithmetic or waiting for memory. It is a lower bound for a kernel that
reaches its peak; a settle of many small kernels takes longer, and the measured wall time says how much.
"""

from __future__ import annotations

from hw.cost.constants import GPUS, HOROWITZ_2014, KERAS_SPIKING, Table
from hw.cost.cost import Cost, Range
from hw.ledger import Ledger, counted

BOARDS = {
    "H200": "h200",
    "H100 80GB HBM3": "h100-sxm",
    "A100-SXM4-80GB": "a100-sxm-80gb",
    "A100-SXM4-40GB": "a100-sxm-40gb",
    "T4": "t4",
}
"""CUDA device name, without the brand, to the key in `constants.GPUS`. Compared whole, not in part: an "H200 NVL", an
"A100 80GB PCIe" and a slice called "H100 80GB HBM3 MIG 1g.10gb" have other peaks and powers than the board whose name
they begin with."""


def board_of(device_name: str) -> str | None:
    """Key in `constants.GPUS` of a device as `torch.cuda.get_device_name` gives it; None for one that is not there."""
    return BOARDS.get(device_name.removeprefix("NVIDIA ").removeprefix("Tesla "))


def gpu_cost(ledger: Ledger, device_name: str, wall_s: float | None = None, boards: Table = GPUS) -> Cost | None:
    """Roofline of a published GPU at its thermal design power: E = TDP * t in all three cases.

    - low: the same multiply-accumulates at the dense int8 peak of the tensor cores, with no wait for memory
    - nominal: roofline at the fp32 peak outside the tensor cores
    - high: the measured wall time, or the nominal time where none is given or where it was shorter (bytes are counted
      once per operation, and a cache or TF32 tensor cores can beat that)

    Args:
        device_name: as `torch.cuda.get_device_name` gives it.
        wall_s: measured seconds per image.
        boards: peaks and power of every board.

    Returns:
        None for a device without published figures in the table, slices of a board included: never a guess.

    Raises:
        ValueError: the ledger has no arithmetic.
    """
    key = board_of(device_name)
    if key is None:
        return None
    done = counted(ledger.arithmetic, "arithmetic")
    macs, moved = done.macs / ledger.images, done.bytes_moved / ledger.images
    gpu = {name: constant.nominal for name, constant in boards[key].items()}
    arithmetic = 2.0 * macs / gpu["peak_fp32"]
    waiting = max(0.0, moved / gpu["bandwidth"] - arithmetic)
    nominal = arithmetic + waiting
    latency = Range(2.0 * macs / gpu["peak_int8"], nominal, max(nominal, wall_s or 0.0))
    breakdown = {"arithmetic": gpu["tdp"] * arithmetic, "memory": gpu["tdp"] * waiting}
    energy = sum(breakdown.values())
    return Cost(
        energy_j=Range(gpu["tdp"] * latency.low, energy, max(energy, gpu["tdp"] * latency.high)),
        latency_s=latency,
        breakdown_j=breakdown,
        profile=f"roofline-{key}",
        note=f"thermal design power over the roofline time; high: {'roofline' if wall_s is None else 'wall'} time",
    )


def cpu_cost(ledger: Ledger) -> Cost:
    """Energy of the multiply-accumulates alone, on no particular processor.

    - low: fp32 multiply and add, 4.6 pJ (Horowitz 2014, 45 nm)
    - nominal: low, and two 32-bit operands from an 8 KB SRAM, 5 pJ each
    - high: a whole desktop processor per multiply-accumulate, 8.6 nJ (keras-spiking)

    No latency: an arbitrary processor has no published peak. Raises ValueError for a ledger without arithmetic.
    """
    macs = counted(ledger.arithmetic, "arithmetic").macs / ledger.images
    breakdown = {
        "arithmetic": macs * HOROWITZ_2014["mac_fp32_energy"].nominal,
        "memory": macs * 2 * HOROWITZ_2014["sram_8kb_32bit_energy"].nominal,
    }
    return Cost(
        energy_j=Range(
            breakdown["arithmetic"], sum(breakdown.values()), macs * KERAS_SPIKING["cpu_mac_energy"].nominal
        ),
        latency_s=None,
        breakdown_j=breakdown,
        profile="horowitz2014-45nm",
        note="arithmetic and operand reads in 45 nm; high: a whole i7-4960X per multiply-accumulate",
    )
