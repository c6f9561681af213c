"""How much of what a board can compute a piece of work uses: model FLOP utilisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from hw.cost.constants import GPUS
from hw.cost.roofline import board_of

PEAKS = {torch.float32: "peak_fp32", torch.bfloat16: "peak_fp16"}
"""Which peak of `constants.GPUS` arithmetic is held against: the boards compute bfloat16 as fast as float16."""


def flop_of(work: Callable[[], object]) -> int:
    """Floating-point operations of one call, two for each multiply-accumulate of convolutions and products alone."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def utilisation(flop: float, seconds: float, device: str, dtype: torch.dtype) -> float | None:
    """flop / (seconds * peak), with the dense peak that the board's maker publishes for `dtype`.

    None for a processor without a published peak in the table, or arithmetic without one.
    """
    if device == "cpu" or dtype not in PEAKS:
        return None
    board = board_of(torch.cuda.get_device_name(device))
    return None if board is None else flop / (seconds * GPUS[board][PEAKS[dtype]].value)
