"""Measured points beside the law that was fitted to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hw.crossbar.devices.device import Array


@dataclass(frozen=True)
class Points:
    """What was measured by conductance, with its standard error, and the value of the law there."""

    name: str
    unit: str
    x: Array
    """Conductance in siemens."""
    y: Array
    error: Array
    """Standard error of every point."""
    fitted: Array = field(default_factory=lambda: np.empty(0))

    @property
    def worst(self) -> float:
        """Largest distance from the law, in standard errors; a point without error counts by a thousandth of the
        largest value."""
        floor = 1e-3 * float(np.abs(self.y).max()) or 1.0
        return float((np.abs(self.y - self.fitted) / np.maximum(self.error, floor)).max())

    @property
    def rms(self) -> float:
        """Root mean square distance from the law over the root mean square value."""
        size = float(np.sqrt(np.mean(self.y**2))) or 1.0
        return float(np.sqrt(np.mean((self.y - self.fitted) ** 2))) / size
