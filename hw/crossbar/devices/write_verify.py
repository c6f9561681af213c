"""Write and verify: pulse every device towards its target until a read finds it there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device, PulseResponse
from hw.crossbar.devices.device_array import DeviceArray, stuck_devices, written
from hw.crossbar.devices.pulsing import response_of
from hw.events.tiles import ProgrammingEvents

IN_WORK = 0.9
"""Share of the devices in work that must not be at their target yet: below it, those that are there are laid aside."""


@dataclass(frozen=True)
class Pulses:
    """What every device of an array was sent to get where it is, in the shape of the array."""

    up: NDArray[np.int64]
    down: NDArray[np.int64]
    given_up: NDArray[np.bool_]
    """Never read within the tolerance of the target."""


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
        return self.write(target_s, device, rng)[0]

    def write(self, target_s: Array, device: Device, rng: np.random.Generator) -> tuple[DeviceArray, Pulses]:
        """Program an array, and say which pulses it took."""
        device.check_conductance(target_s)
        response = self.check(device)
        allowed_s = self.tolerance * (device.g_max_s - device.g_min_s)
        stuck_s = stuck_devices(target_s.shape, device, rng)
        drawn = response.draw(target_s.shape, rng)
        g_s = np.full(target_s.size, device.g_min_s)
        seen_s = np.where(np.isnan(stuck_s), device.g_min_s, stuck_s).ravel()
        up, down = np.zeros(target_s.size, np.int64), np.zeros(target_s.size, np.int64)
        reads, conducted_s = 0, 0.0
        # `at` are the devices in work, `left` those of them that are not at their target yet
        at, left = np.arange(target_s.size), np.ones(target_s.size, bool)
        aim_s, held_s, steps = target_s.ravel(), stuck_s.ravel(), {name: each.ravel() for name, each in drawn.items()}
        now_s, shown_s = g_s.copy(), seen_s.copy()
        for _ in range(self.most_pulses):
            reads += int(left.sum())
            read_s = shown_s + device.read_sigma_s(shown_s) * rng.standard_normal(len(at))
            left &= np.abs(read_s - aim_s) > allowed_s
            if left.mean() < IN_WORK:
                g_s[at], seen_s[at] = now_s, shown_s
                at, aim_s, held_s, now_s = at[left], aim_s[left], held_s[left], now_s[left]
                shown_s, read_s, steps = shown_s[left], read_s[left], {name: each[left] for name, each in steps.items()}
                left = np.ones(len(at), bool)
            if not len(at):
                break
            rises = read_s < aim_s
            moved_s = response.pulse(now_s, rises, steps, rng)
            after_s = np.where(np.isnan(held_s), response.visible(moved_s, rng), held_s)
            conducted_s += float(((shown_s + after_s) / 2)[left].sum())
            now_s, shown_s = np.where(left, moved_s, now_s), np.where(left, after_s, shown_s)
            up[at] += left & rises
            down[at] += left & ~rises
        g_s[at], seen_s[at] = now_s, shown_s
        given_up = np.zeros(target_s.size, bool)
        given_up[at[left]] = True
        voltage, width = response.voltage_v, response.width_s
        energy_j = None if voltage is None or width is None else voltage**2 * width * conducted_s
        shape, pulses = target_s.shape, float((up + down).sum())
        events = ProgrammingEvents(target_s.size, pulses, float(reads), energy_j, int(given_up.sum()))
        array = written(target_s, seen_s.reshape(shape), stuck_s, device, rng, events, drawn)
        sent = Pulses(up.reshape(shape), down.reshape(shape), given_up.reshape(shape))
        return replace(array, resting_s=g_s.reshape(shape)), sent
