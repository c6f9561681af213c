"""Dies of a small circuit of resistors that tests share."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hw.crossbar.devices.presets import preset
from hw.resistive.die import Die, Mismatch, fabricate
from hw.resistive.machine import Physics, Resistive
from mapping.machines import to_resistive
from mapping.resistive import Mapped
from models.resistive.equivalent import equivalent
from models.resistive.network import build_resistive

PCM = preset("pcm-nandakumar-2019")


def dies(mismatch: Mismatch, count: int = 3, device: str = "cpu", hidden: tuple[int, ...] = (8,)) -> list[Resistive]:
    """Dies of one small circuit an hour after programming, always the same."""
    circuit = build_resistive((1, 3, 2), hidden, 3, torch.Generator(device="cpu").manual_seed(5), input_gain=20.0)

    def fabricated(index: int) -> Callable[[Mapped], Die]:
        return lambda mapped: fabricate(mapped.network, PCM, (index,), mismatch=mismatch).at(3600.0)

    return [
        to_resistive(
            equivalent(circuit),
            batch_size=4,
            physics=Physics(noise_seed=(index,)),
            fabricated=fabricated(index),
            device=device,
        )
        for index in range(count)
    ]
