"""How dies are made: everything that is settled before a weight is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.devices.device_array import DeviceArray, program
from hw.crossbar.tiles.design import Design


@dataclass(frozen=True)
class Fabrication:
    """Devices in tiles, and the draws that make one die differ from the next."""

    device: Device
    design: Design = field(default_factory=Design)
    seed: tuple[int, ...] = (0,)
    """Of the die: programming errors, stuck devices, drift."""
    noise_seed: tuple[int, ...] = (0,)
    """Of what is drawn while it is used: slow and fresh noise."""
    programming: Callable[[Array, Device, np.random.Generator], DeviceArray] = program
    """With the published error, or pulse by pulse (`hw.crossbar.devices.write_verify.WriteVerify`)."""
    headroom: float = 1.0
    """The range of the devices over the largest weight of a link: room for weights to grow."""

    def __post_init__(self) -> None:
        if not 1 <= self.headroom < np.inf:
            raise ValueError(f"headroom is {self.headroom}, expected a number from 1: room for weights to grow")

    def of_link(self, index: int, links: int) -> Fabrication:
        """The tiles of link `index` of a chip with so many links before the readout, with draws of their own."""
        return replace(
            self,
            design=self.design.around(index, links),
            seed=(*self.seed, index),
            noise_seed=(*self.noise_seed, 1, index),
        )
