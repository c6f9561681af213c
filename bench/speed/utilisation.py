"""How much of what a board can compute a piece of work uses: of its published peak, and of plain products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.speed.timing import Clock, fastest
from hw.cost.constants import GPUS
from hw.cost.roofline import board_of
from models.ep.network import EPNetwork
from models.fast.settling import Engine

PEAKS = {torch.float32: "peak_fp32", torch.bfloat16: "peak_fp16"}
"""Which peak of `constants.GPUS` arithmetic is held against: the boards compute bfloat16 as fast as float16."""


def flop_of(work: Callable[[], object]) -> int:
    """Floating-point operations of one call, two for each multiply-accumulate of convolutions and products alone."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def product_rate(network: EPNetwork, batch: int, dtype: torch.dtype, device: str, clock: Clock) -> float:
    """Floating-point operations a second of plain matrix products in the shapes of the network's links.

    One for each link: (B H' W', C_below kh kw) times (C_above), with nothing to gather and nothing between them; all
    after one another, the fastest of several.
    """
    pairs = []
    for stage in Engine(network, dtype).stages:
        rows = batch * stage.summed[0] * stage.summed[1]
        matrix = stage.weight.flatten(1).to(device)
        pairs.append((torch.rand((rows, matrix.shape[1]), device=device).to(dtype), matrix.T.contiguous()))
    seconds = fastest({"product": lambda: [left @ right for left, right in pairs]}, device=device, clock=clock)
    return sum(2 * left.shape[0] * right.numel() for left, right in pairs) / seconds["product"]


def utilisation(flop: float, seconds: float, device: str, dtype: torch.dtype) -> float | None:
    """flop / (seconds * peak), with the dense peak that the board's maker publishes for `dtype`.

    None for a processor without a published peak in the table, or arithmetic without one.
    """
    if device == "cpu" or dtype not in PEAKS:
        return None
    board = board_of(torch.cuda.get_device_name(device))
    return None if board is None else flop / (seconds * GPUS[board][PEAKS[dtype]].nominal)
