"""Pictures of tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hw.crossbar.devices.device import Array, Device

MICRO = 1e6


def draw_conductances(path: Path, title: str, g_s: Array, device: Device) -> None:
    """A map of the conductances (rows, columns) of a tile, over the range of its device."""
    lowest, highest = device.g_min_s * MICRO, device.g_max_s * MICRO
    _draw(path, title, g_s * MICRO, "conductance / µS", vmin=lowest, vmax=highest)


def draw_errors(path: Path, title: str, error: Array) -> None:
    """A map of the errors (rows, columns) of a tile, shares of the range of its device; cells without one are grey."""
    import numpy as np

    most = max(100 * float(np.nanmax(np.abs(error), initial=0.0)), 1e-9)
    _draw(path, title, 100 * error, "measured - target / % of the range", vmin=-most, vmax=most, cmap="RdBu_r")


def _draw(path: Path, title: str, values: Array, label: str, **how: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0))  # laid out by hand: a solver of layouts takes as long as all of the rest
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.13, 0.72, 0.78))
    shown = axes.imshow(values, aspect="auto", interpolation="nearest", **how)
    axes.set(title=title, xlabel="column", ylabel="row", facecolor="grey")
    figure.colorbar(shown, cax=figure.add_axes((0.85, 0.13, 0.03, 0.78)), label=label)
    figure.savefig(path, dpi=100)
