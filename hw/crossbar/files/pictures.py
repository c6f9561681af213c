"""Pictures of tiles."""

from __future__ import annotations

from pathlib import Path

from hw.crossbar.devices.device import Array, Device

MICRO = 1e6


def draw_conductances(path: Path, title: str, g_s: Array, device: Device) -> None:
    """A map of the conductances (rows, columns) of a tile, over the range of its device."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0))  # laid out by hand: a solver of layouts takes as long as all of the rest
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.13, 0.72, 0.78))
    shown = axes.imshow(
        g_s * MICRO, vmin=device.g_min_s * MICRO, vmax=device.g_max_s * MICRO, aspect="auto", interpolation="nearest"
    )
    axes.set(title=title, xlabel="column", ylabel="row")
    figure.colorbar(shown, cax=figure.add_axes((0.85, 0.13, 0.03, 0.78)), label="conductance / µS")
    figure.savefig(path, dpi=100)
