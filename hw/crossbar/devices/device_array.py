"""One array of devices as it came out of programming, reproducible by the seed it was programmed with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device
from hw.events.tiles import ProgrammingEvents


@dataclass(frozen=True)
class DeviceArray:
    """Devices at one time after programming. All arrays have one shape, any shape.

    Made by `program` or `write_verify.WriteVerify`; `at` gives the same devices at another time.
    """

    device: Device
    target_s: Array
    """What was to be programmed."""
    programmed_s: Array
    """What was reached."""
    drawn: Array | None
    """What distinguishes one device's retention from the next; None for a device without retention."""
    stuck_s: Array
    """Conductance a stuck device stays at; NaN where the device works."""
    events: ProgrammingEvents
    """What it took to write them, all writes together."""
    steps: dict[str, Array] | None
    """What distinguishes one device's response to pulses from the next; None where no response is published."""
    resting_s: Array
    """Conductance that the next pulse goes on from: `programmed_s` without write noise."""
    writes: NDArray[np.int64]
    """Pulses, or programmings, that every device has had since the array was first programmed."""
    written_at_s: Array
    """Seconds after programming at which every device was last written."""
    seconds: float = 0.0
    """Time since programming."""
    kelvin: float | None = None
    """Temperature; None is the one at which the device was published."""

    def at(self, seconds: float, kelvin: float | None = None) -> DeviceArray:
        """The same devices `seconds` after programming, at a temperature.

        Raises ValueError for a time or a temperature at which the source of the device says nothing, and for a time
        before some of the devices were last written: what they held until then is gone.
        """
        self.device.check_time(seconds)
        self.device.check_kelvin(kelvin)
        if seconds < (last_s := float(self.written_at_s.max(initial=0.0))):
            raise ValueError(f"time is {seconds} s: devices of this die were written {last_s:g} s after programming")
        return replace(self, seconds=seconds, kelvin=kelvin)

    def conductance_s(self) -> Array:
        """Conductance now, without slow and fresh noise: drifted, never negative; stuck devices stuck."""
        device, now = self.device, self.programmed_s
        if device.retention is not None and self.drawn is not None:
            for written_s in np.unique(self.written_at_s):
                elapsed_s = self.seconds - float(written_s)
                aged = device.retention.conductance(self.target_s, self.programmed_s, self.drawn, elapsed_s)
                now = np.where(self.written_at_s == written_s, aged, now)
        now = np.where(np.isnan(self.stuck_s), np.maximum(now, 0.0), self.stuck_s)
        return now * device.thermal(self.kelvin)

    def settling_s(self, rng: np.random.Generator) -> Array:
        """Conductance during one settle: now, with slow noise drawn from `rng`."""
        device, now = self.device, self.conductance_s()
        noisy = now
        if device.flicker is not None:
            sigma = np.zeros(now.shape)
            for written_s in np.unique(self.written_at_s):
                law = device.flicker.sigma_s(self.target_s, now, self.seconds - float(written_s))
                sigma = np.where(self.written_at_s == written_s, law, sigma)
            noisy = noisy + sigma * rng.standard_normal(now.shape)
        if device.telegraph is not None:
            trapped = rng.random(now.shape) < device.telegraph.share
            sign = np.where(rng.random(now.shape) < 0.5, -0.5, 0.5)
            noisy = noisy + trapped * sign * device.telegraph.relative * now
        return np.where(np.isnan(self.stuck_s), np.maximum(noisy, 0.0), now)


def program(target_s: Array, device: Device, rng: np.random.Generator) -> DeviceArray:
    """Program devices in one go, with the published spread: G = max(0, target + sigma(target) N).

    Raises ValueError for a target outside the range of the device.
    """
    reached = _reached(target_s, device, rng)
    events = ProgrammingEvents(target_s.size, None, None, None)
    stuck_s = stuck_devices(target_s.shape, device, rng)
    return written(target_s, reached, stuck_s, device, rng, events)


def reprogram(array: DeviceArray, target_s: Array, where: NDArray[np.bool_], rng: np.random.Generator) -> DeviceArray:
    """Program some devices of an array anew, with the published spread, now; their drift begins again.

    Raises ValueError for a target outside the range of the device.
    """
    count = int(where.sum())
    return rewritten(array, target_s, where, _reached(target_s, array.device, rng), None, np.ones(count, np.int64), rng)


def stuck_devices(shape: tuple[int, ...], device: Device, rng: np.random.Generator) -> Array:
    """Conductance of the devices that stay where they are whatever is written; NaN for those that work."""
    fate = rng.random(shape)
    stuck_s: NDArray[np.float64] = np.full(shape, np.nan)
    stuck_s[fate < device.stuck_on] = device.g_max_s
    stuck_s[fate >= 1 - device.stuck_off] = device.g_min_s
    return stuck_s


def written(
    target_s: Array,
    programmed_s: Array,
    stuck_s: Array,
    device: Device,
    rng: np.random.Generator,
    events: ProgrammingEvents,
    steps: dict[str, Array] | None = None,
) -> DeviceArray:
    """An array whose devices some procedure brought to `programmed_s`, except for those that are stuck."""
    drawn = None if device.retention is None else device.retention.draw(target_s, rng)
    if steps is None and device.pulses is not None:
        steps = device.pulses.draw(target_s.shape, rng)
    nothing = np.zeros(target_s.shape)
    return DeviceArray(
        device, target_s, programmed_s, drawn, stuck_s, events, steps, programmed_s, nothing.astype(np.int64), nothing
    )


def rewritten(
    array: DeviceArray,
    target_s: Array,
    where: NDArray[np.bool_],
    programmed_s: Array,
    resting_s: Array | None,
    writes: NDArray[np.int64],
    rng: np.random.Generator,
) -> DeviceArray:
    """The array after some of its devices were written, `writes` times each (in the order of `where`)."""
    device = array.device
    drawn = array.drawn
    if device.retention is not None and drawn is not None:
        drawn = np.where(where, device.retention.draw(target_s, rng), drawn)
    counted = array.writes.copy()
    counted[where] += writes
    return replace(
        array,
        target_s=np.where(where, target_s, array.target_s),
        programmed_s=np.where(where, programmed_s, array.programmed_s),
        drawn=drawn,
        resting_s=np.where(where, programmed_s if resting_s is None else resting_s, array.resting_s),
        writes=counted,
        written_at_s=np.where(where, array.seconds, array.written_at_s),
    )


def _reached(target_s: Array, device: Device, rng: np.random.Generator) -> Array:
    device.check_conductance(target_s)
    return np.maximum(target_s + device.programming(target_s) * rng.standard_normal(target_s.shape), 0.0)
