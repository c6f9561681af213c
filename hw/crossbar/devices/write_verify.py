"""Write and verify: pulse every device towards its target until a read finds it there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hw.crossbar.devices.device import Array, Device, PulseResponse
from hw.crossbar.devices.device_array import DeviceArray, stuck_devices, written
from hw.crossbar.devices.pulsing import response_of
from hw.events.tiles import ProgrammingEvents


@dataclass(frozen=True)
class WriteVerify:
    """A way to program an array, to be given to tiles and machines in the place of `device_array.program`.

    All devices start at the lower end of their range. In each round every device not yet at its target is read once,
    with the fresh noise of a read, and gets one pulse up or down if it is further off than the tolerance.
    """

    tolerance: float = 0.02
    """Largest accepted distance from the target, over the range of the device."""
    most_pulses: int = 1000
    """Pulses after which a device is left as it is, and counted as given up."""

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}, expected a share of the range between 0 and 1")
        if self.most_pulses < 1:
            raise ValueError(f"most_pulses is {self.most_pulses}, expected at least 1")

    def check(self, device: Device) -> PulseResponse:
        """The device's response to pulses; ValueError where none is published."""
        return response_of(device)

    def __call__(self, target_s: Array, device: Device, rng: np.random.Generator) -> DeviceArray:
        """Program an array."""
        device.check_conductance(target_s)
        response = self.check(device)
        allowed_s = self.tolerance * (device.g_max_s - device.g_min_s)
        stuck_s = stuck_devices(target_s.shape, device, rng)
        drawn = response.draw(target_s.shape, rng)
        g_s = np.full(target_s.shape, device.g_min_s)
        seen_s = np.where(np.isnan(stuck_s), g_s, stuck_s)
        outliers = np.ones(target_s.shape, bool)
        pulses, reads, conducted_s = 0, 0, 0.0
        for _ in range(self.most_pulses):
            reads += int(outliers.sum())
            read_s = seen_s + device.read_sigma_s(seen_s) * rng.standard_normal(seen_s.shape)
            outliers &= np.abs(read_s - target_s) > allowed_s
            if not outliers.any():
                break
            pulses += int(outliers.sum())
            moved_s = response.pulse(g_s, read_s < target_s, drawn, rng)
            after_s = np.where(outliers, np.where(np.isnan(stuck_s), response.visible(moved_s, rng), stuck_s), seen_s)
            conducted_s += float(((seen_s + after_s) / 2)[outliers].sum())
            g_s, seen_s = np.where(outliers, moved_s, g_s), after_s
        voltage, width = response.voltage_v, response.width_s
        energy_j = None if voltage is None or width is None else voltage**2 * width * conducted_s
        events = ProgrammingEvents(target_s.size, float(pulses), float(reads), energy_j, int(outliers.sum()))
        array = written(target_s, seen_s, stuck_s, device, rng, events, drawn)
        return replace(array, resting_s=g_s)
