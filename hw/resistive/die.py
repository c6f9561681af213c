"""A die: the resistors of a network as devices with their errors, and amplifiers that do not match.

Every resistor is a device of its own, those that a convolution shares too. A crossing without a resistor holds a device
at the lower end of its range. A drift that is the same for all devices changes no voltage, only power and time: means
of voltages know ratios of conductances alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Device
from hw.crossbar.devices.device_array import DeviceArray, program, reprogram
from hw.crossbar.devices.pulsing import mean_step_s, pulsed, response_of
from hw.resistive.links import DenseResistors, unrolled
from hw.resistive.network import Amplifiers, ResistiveNetwork

Array = NDArray[np.float64]
Rails = tuple[DeviceArray, DeviceArray | None]
"""Devices of a link, of the plus rail and the minus rail."""
Programming = Callable[[Array, Device, np.random.Generator], DeviceArray]


@dataclass(frozen=True)
class Mismatch:
    """Standard deviations among amplifiers, and of what senses the outputs."""

    gain: float = 0.0
    """Relative, of gain and of the current taken, each on its own."""
    offset_v: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gain < 0.3:
            raise ValueError(f"mismatch of gains is {self.gain}, expected a share from 0 to 0.3")
        if not 0 <= self.offset_v < 10:
            raise ValueError(f"offset_v is {self.offset_v} V, expected 0 to 10 V")


@dataclass(frozen=True)
class Die:
    """Devices of every link, the plus rail and the minus rail, at one time."""

    ideal: ResistiveNetwork
    """The network with amplifiers as they came out."""
    arrays: tuple[Rails, ...]
    sense_v: Array
    """Offset of what reads every output."""
    levels: int | None = None
    """Conductances that a device can be set to, evenly over its range; None: any."""

    def at(self, seconds: float) -> Die:
        """The same die so long after programming; ValueError where the device is not published so long."""
        arrays = tuple((plus.at(seconds), None if minus is None else minus.at(seconds)) for plus, minus in self.arrays)
        return replace(self, arrays=arrays)

    def network(self, rng: np.random.Generator | None) -> ResistiveNetwork:
        """What settles: conductances now; with a generator with the slow and the fresh noise of one settle."""
        if rng is None:
            return replace(self.ideal, links=tuple(_links(self.arrays, DeviceArray.conductance_s)))
        return self.read(self.slow(rng), rng)

    def slow(self, rng: np.random.Generator) -> list[DenseResistors]:
        """Conductances with the noise that stays while an image is looked at, nudged or not."""
        return list(_links(self.arrays, lambda array: array.settling_s(rng)))

    def read(self, slow: list[DenseResistors], rng: np.random.Generator) -> ResistiveNetwork:
        """What settles, with the noise of one settle on top."""

        def noisy(array: DeviceArray, now: Array) -> Array:
            drawn = np.maximum(now + array.device.read_sigma_s(now) * rng.standard_normal(now.shape), 0.0)
            return np.where(np.isnan(array.stuck_s), drawn, now)

        links = []
        for (plus, minus), now in zip(self.arrays, slow, strict=True):
            both = None if minus is None or now.minus_s is None else noisy(minus, now.minus_s)
            links.append(DenseResistors(noisy(plus, now.plus_s), both, sparse=True))
        return replace(self.ideal, links=tuple(links))


def _links(arrays: tuple[Rails, ...], held: Callable[[DeviceArray], Array]) -> Iterator[DenseResistors]:
    for plus, minus in arrays:
        yield DenseResistors(held(plus), None if minus is None else held(minus), sparse=True)


def fabricate(
    network: ResistiveNetwork,
    device: Device,
    seed: tuple[int, ...],
    *,
    mismatch: Mismatch = Mismatch(),
    programming: Programming = program,
    levels: int | None = None,
) -> Die:
    """Program a die, conductances beyond the range of the device to its end; ValueError for fewer than two levels."""
    if levels is not None and levels < 2:
        raise ValueError(f"levels is {levels}, expected at least 2, or none")
    rng = np.random.default_rng((*seed, 0))
    arrays = []
    for link in network.links:
        whole = unrolled(link)
        pair = [
            None if g is None else programming(_settable(device, g, levels), device, rng)
            for g in (whole.plus_s, whole.minus_s)
        ]
        arrays.append((pair[0], pair[1]))
    analog = np.random.default_rng((*seed, 1))
    rows = tuple(None if row is None else _mismatched(row, mismatch, analog) for row in network.amplifiers)
    links = tuple(unrolled(link) for link in network.links)
    sense_v = mismatch.offset_v * analog.standard_normal(network.units[-1])
    return Die(replace(network, links=links, amplifiers=rows), tuple(arrays), sense_v, levels)  # type: ignore[arg-type]


def written_back(die: Die, wanted: Die, most: int, rng: np.random.Generator) -> Die:
    """The die after every device was read once and the `most` that are farthest off were programmed again to what they
    are `wanted` to be; a factor that all devices of a link have drifted by is left, since it changes no voltage."""
    links = [_astray(now, target, rng) for now, target in zip(die.arrays, wanted.arrays, strict=True)]
    sizes = np.sort(np.concatenate([gap.ravel() for link in links for _, _, gap in link]))[::-1]
    limit = float(sizes[most]) if most < len(sizes) else 0.0
    arrays = []
    for link in links:
        new = [reprogram(one, _settable(one.device, goal, die.levels), gap > limit, rng) for one, goal, gap in link]
        arrays.append((new[0], new[1] if len(new) > 1 else None))
    return replace(die, arrays=tuple(arrays))


def _astray(
    now: tuple[DeviceArray, DeviceArray | None],
    wanted: tuple[DeviceArray, DeviceArray | None],
    rng: np.random.Generator,
) -> list[tuple[DeviceArray, Array, Array]]:
    """Of both rails of a link: the devices, what they should be, and how far from it one read shows them to be."""
    pairs = [
        (one, goal.target_s) for one, goal in zip(now, wanted, strict=True) if one is not None and goal is not None
    ]
    reads = []
    for one, _ in pairs:
        held = one.conductance_s()
        reads.append(held + one.device.read_sigma_s(held) * rng.standard_normal(held.shape))
    drift = sum(float(read.sum()) for read in reads) / sum(float(goal.sum()) for _, goal in pairs)
    return [(one, drift * goal, np.abs(read - drift * goal)) for (one, goal), read in zip(pairs, reads, strict=True)]


def _settable(device: Device, conductance_s: Array, levels: int | None) -> Array:
    """The nearest conductances that the device can be set to."""
    inside = np.clip(conductance_s, device.g_min_s, device.g_max_s)
    if levels is None:
        return inside
    step_s = (device.g_max_s - device.g_min_s) / (levels - 1)
    nearest: Array = device.g_min_s + step_s * np.rint((inside - device.g_min_s) / step_s)
    return nearest


class Writer:
    """Changes the devices of one array by what is asked for: numbers (above, below) in siemens."""

    def __init__(
        self,
        array: DeviceArray,
        how: str,
        rng: np.random.Generator,
        threshold: float = 0.02,
        levels: int | None = None,
    ) -> None:
        if how not in ("rewrite", "pulses"):
            raise ValueError(f"update is {how!r}, choose from rewrite, pulses")
        if how == "pulses":
            response_of(array.device)
        self.array, self.how, self.rng, self.threshold, self.levels = array, how, rng, threshold, levels
        self.wanted = array.target_s.copy()

    def move(self, change_s: Array) -> DeviceArray:
        """By pulses: the change in steps of one pulse, rounded at random. Rewriting: a digital number per device adds
        changes up, and devices whose number is more than `threshold` of the range from their target are programmed."""
        device = self.array.device
        if self.how == "pulses":
            steps = np.floor(change_s / mean_step_s(device) + self.rng.random(change_s.shape)).astype(np.int64)
            self.array, _ = pulsed(self.array, np.maximum(steps, 0), np.maximum(-steps, 0), self.rng)
            return self.array
        self.wanted = _settable(device, self.wanted + change_s, None)
        target = _settable(device, self.wanted, self.levels)
        far = np.abs(self.wanted - self.array.target_s) > self.threshold * (device.g_max_s - device.g_min_s)
        where = far & (target != self.array.target_s)
        if where.any():
            self.array = reprogram(self.array, np.where(where, target, self.array.target_s), where, self.rng)
        return self.array


def _mismatched(row: Amplifiers, mismatch: Mismatch, rng: np.random.Generator) -> Amplifiers:
    units = len(row.gain)
    gain = row.gain * (1 + mismatch.gain * rng.standard_normal(units))
    back = row.back * (1 + mismatch.gain * rng.standard_normal(units))
    return replace(row, gain=gain, back=back, offset_v=mismatch.offset_v * rng.standard_normal(units))
