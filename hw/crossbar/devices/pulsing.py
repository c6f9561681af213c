"""Writing devices pulse by pulse without looking: what learning in place does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device, PulseResponse
from hw.crossbar.devices.device_array import DeviceArray, rewritten
from hw.crossbar.devices.presets import PRESETS
from hw.events.tiles import ProgrammingEvents


def response_of(device: Device) -> PulseResponse:
    """The device's response to pulses; ValueError, naming those that have one, where none is published."""
    if device.pulses is None:
        known = ", ".join(name for name, other in PRESETS.items() if other.pulses is not None)
        raise ValueError(
            f"{device.name} cannot be written pulse by pulse: no response to single pulses is published; "
            f"presets that have one: {known}"
        )
    return device.pulses


def pulsed(
    array: DeviceArray, up: NDArray[np.int64], down: NDArray[np.int64], rng: np.random.Generator
) -> tuple[DeviceArray, ProgrammingEvents]:
    """The array after `up` and `down` pulses on every device, in random order, and what they took.

    Stuck devices take pulses and do not move.
    """
    response = response_of(array.device)
    assert array.steps is not None, "drawn when the array was programmed"
    total = up + down
    places = np.flatnonzero(total)
    nothing = ProgrammingEvents(0, 0.0, 0.0, None if response.voltage_v is None or response.width_s is None else 0.0)
    if not len(places):
        return array, nothing
    rising, left = up.ravel()[places], total.ravel()[places]
    steps = {name: values.ravel()[places] for name, values in array.steps.items()}
    stuck_s = array.stuck_s.ravel()[places]
    g_s = array.resting_s.ravel()[places]
    before_s = np.where(np.isnan(stuck_s), g_s, stuck_s)
    for _ in range(int(left.max())):
        going = left > 0
        rises = going & (rng.random(len(left)) * left < rising)
        g_s = np.where(going, response.pulse(g_s, rises, steps, rng), g_s)
        rising, left = rising - rises, left - going
    count = total.ravel()[places]
    after_s = np.where(np.isnan(stuck_s), g_s, stuck_s)
    conducted_s = float((count * (before_s + after_s) / 2).sum())
    voltage, width = response.voltage_v, response.width_s
    energy_j = None if voltage is None or width is None else voltage**2 * width * conducted_s
    where = total > 0
    reached_s, rested_s = array.programmed_s.copy(), array.resting_s.copy()
    reached_s[where], rested_s[where] = response.visible(g_s, rng), g_s
    # pulses have no target: drift and noise are those of a device that was programmed to where it ended
    target_s = np.clip(rested_s, array.device.g_min_s, array.device.g_max_s)
    changed = rewritten(array, target_s, where, reached_s, rested_s, count, rng)
    return changed, ProgrammingEvents(len(places), float(count.sum()), 0.0, energy_j)


def mean_step_s(device: Device) -> float:
    """Nominal step of one pulse, in siemens: what a controller that does not look assumes."""
    step_s: Array | float = response_of(device).step_s
    return float(step_s)
