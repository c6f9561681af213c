"""A settle as a machine watches it: voltages at its times, when each image is at rest, and the heat until then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.events.analog import AnalogEvents
from hw.resistive.dynamics import settle_in_time
from hw.resistive.power import diodes_w, heating_w, weighed
from hw.resistive.settling import settle
from hw.resistive.solver import Solver

Array = NDArray[np.float64]
SUBSTEPS = 2
HELD = "capacitors"


@dataclass(frozen=True)
class Track:
    """B images on their way, T times; of several dies (dies, B) images."""

    solver: Solver
    sources: Tensor
    farad: Sequence[Tensor]
    times_s: Array
    path: list[Tensor]
    """Voltages of layers 1..L, (T + 1, B, units): 0 V, and what they are at the times; the last is where they end."""
    rest: NDArray[np.int64]
    """(B,) first time from which an image stays where it ends."""

    @property
    def rows(self) -> list[Tensor]:
        """Voltages of layers 1..L at the times, (T, B, units)."""
        return [layer[1:] for layer in self.path]

    def events(self) -> AnalogEvents:
        """Heat of all images until each is at rest, and for how long they settle."""
        count = int(self.rest.max()) + 1
        heated, held = self._watts(count)
        # weights of the trapezoidal rule until each image is at rest, of row 0 at 0 V and of all that follow
        steps_s = np.diff(self.times_s[:count], prepend=0.0).reshape(-1, *[1] * self.rest.ndim)
        taken = np.where(np.arange(count).reshape(steps_s.shape) <= self.rest, 0.5 * steps_s, 0.0)
        weights = np.zeros((count + 1, *self.rest.shape))
        weights[1:] += taken
        weights[:-1] += taken
        joules = {part: (weights * watts.cpu().numpy()).sum(axis=0) for part, watts in heated.items()}
        joules |= {part: self.times_s[self.rest] * watts.cpu().numpy() for part, watts in held.items()}
        energy = {part: float(np.maximum(of_images, 0.0).sum()) for part, of_images in joules.items()}
        # what the capacitors hold at the end, which is lost when they are emptied
        energy[HELD] = float(self._held_j(slice(-1, None)).sum())
        return AnalogEvents(energy, float(self.times_s[self.rest].sum()))

    @cached_property
    def heat_j(self) -> dict[str, Array]:
        """(T, B) joules by part from 0 V until each row, and what the capacitors hold then."""
        return {**self._heat_j(len(self.times_s)), HELD: self._held_j(slice(None))}

    def _heat_j(self, count: int) -> dict[str, Array]:
        """(count, B) joules by part from 0 V until each of the first rows: resistors by the trapezoidal rule, diodes
        and what they lead to as at rest."""
        heated, held = self._watts(count)
        steps_s = np.diff(self.times_s[:count], prepend=0.0).reshape(-1, *[1] * self.rest.ndim)
        heat = {}
        for part, watts in heated.items():
            track = watts.cpu().numpy()
            heat[part] = np.cumsum(0.5 * (track[1:] + track[:-1]) * steps_s, axis=0)
        heat |= {part: np.cumsum(steps_s, axis=0) * watts.cpu().numpy() for part, watts in held.items()}
        return {part: np.maximum(joules, 0.0) for part, joules in heat.items()}

    def _watts(self, count: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Watts of resistors at 0 V and at the first rows, (count + 1, B), and of diodes and what they lead to at rest,
        (B,), by part."""
        drive = self.solver.operators[0].up(self.sources)
        heated = heating_w(self.solver, self.sources, drive, [layer[: count + 1] for layer in self.path])
        return heated, diodes_w(self.solver, drive, [layer[-1] for layer in self.path])

    def _held_j(self, rows: slice) -> Array:
        """(T, B) joules in the capacitors."""
        held = [weighed(layer[rows].square(), c) for c, layer in zip(self.farad, self.rows, strict=True)]
        joules: Array = 0.5 * torch.stack(held).sum(dim=0).cpu().numpy()
        return joules


def track_of(solver: Solver, sources: Tensor, farad: Sequence[Tensor], times_s: Array, tolerance: float) -> Track:
    """From 0 V to rest. An image is at rest once no voltage is farther than `tolerance` of the largest of its layer
    from where it ends."""
    end = settle(solver, sources)
    path = settle_in_time(solver, sources, farad, times_s[:-1], substeps=SUBSTEPS)
    joined = zip(path.volts, end.volts, strict=True)
    voltages = [torch.cat((torch.zeros_like(last[None]), layer, last[None])) for layer, last in joined]
    rest = _rest_rows([layer[1:] for layer in voltages], tolerance)
    return Track(solver, sources, farad, times_s, voltages, rest)


def _rest_rows(rows: Sequence[Tensor], tolerance: float) -> NDArray[np.int64]:
    far = torch.zeros(rows[0].shape[:-1], dtype=torch.bool, device=rows[0].device)
    for layer in rows:
        largest = layer[-1].abs().amax(dim=-1).clamp(min=1e-300)
        far |= (layer - layer[-1]).abs().amax(dim=-1) > tolerance * largest
    late = torch.arange(len(far), device=far.device).view(-1, *[1] * (far.ndim - 1)) * far
    found: NDArray[np.int64] = (late.amax(dim=0) + far.any(dim=0)).cpu().numpy()
    return found
