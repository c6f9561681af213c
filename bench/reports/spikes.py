"""Pictures of runs in continuous time: who fired when, courses of states, and what each way to say states costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.records.row import Row
from bench.reports.colours import COLOURS
from bench.reports.figures import new_figure, save_figure

CODINGS = {
    ("torch", "float"): ("dense", "every state at every step"),
    ("lava", "fixed"): ("zero_skip", "states that are not zero (Lava)"),
    ("lava", "delta"): ("delta", "changes (Lava)"),
    ("brian", "spikes"): ("delta", "predictive spikes (Brian)"),
    ("brian", "fire"): ("delta", "rates of firing (Brian)"),
}
"""Which rows are compared: the events that count of each, and what it is called."""


def draw_watched(rows: Sequence[Row], folder: Path) -> list[str]:
    """A picture per row that holds what the neurons of one image did; their names."""
    names = []
    for row in rows:
        seen = row.details.get(row.backend, {}).get("seen")
        if seen:
            names.append(f"neurons-{row.backend}-{row.precision}.png")
            _draw_neurons(row, seen, folder / names[-1])
    return names


def _draw_neurons(row: Row, seen: dict[str, Any], file: Path) -> None:
    """Above, a raster of all layers; below, the states that moved most."""
    layers, milli = seen["layers"], 1e3
    figure = new_figure(9.0, 2.2 + 1.6 * len(layers))
    fires = any(layer["spikes"] for layer in layers)
    panels = figure.subplots(len(layers) + fires, 1, sharex=True, squeeze=False)[:, 0]
    if fires:
        start = 0
        for number, (layer, colour) in enumerate(zip(layers, COLOURS, strict=False), start=1):
            times = [milli * time for time in layer["spike_times_s"]]
            panels[0].plot(
                times, start + np.array(layer["spike_units"]), ".", color=colour, markersize=1.5, rasterized=True
            )
            panels[0].annotate(
                f"layer {number}: {layer['spikes']:,} spikes",
                (1.0, start),
                xycoords=("axes fraction", "data"),
                fontsize=7,
            )
            start += layer["units"]
        panels[0].set(ylabel="neuron", title=f"{row.name}: one image of {row.data}")
    for number, (axes, layer) in enumerate(zip(panels[fires:], layers, strict=True), start=1):
        for unit, states, colour in zip(layer["traced"], layer["states"], COLOURS, strict=False):
            times = milli * seen["step_s"] * np.arange(1, len(states) + 1)
            axes.plot(times, states, color=colour, linewidth=1.2, label=f"neuron {unit}")
        axes.set_ylabel(f"state, layer {number}")
    panels[-1].set_xlabel("time, ms")
    save_figure(figure, file)


def draw_codings(rows: Sequence[Row], file: Path) -> bool:
    """Accuracy against synaptic events so far, and against time, of every way to say a state; False without spikes.

    A synchronous step lasts one time constant.
    """
    compared = [row for row in rows if (row.backend, row.precision) in CODINGS and row.by_step]
    if not any(row.backend == "brian" for row in compared):
        return False
    figure = new_figure(10.5, 3.8)
    left, right = figure.subplots(1, 2)
    for row, colour in zip(compared, COLOURS, strict=False):
        coding, title = CODINGS[row.backend, row.precision]
        curve = row.by_step or {}
        accuracy = [100 * value for value in curve["accuracy"]]
        spent = np.cumsum(curve[f"synops_{coding}"])
        left.plot(spent, accuracy, color=colour, linewidth=1.8, label=f"{title}: {spent[-1] / 1e3:,.0f} k")
        left.plot(spent[-1:], accuracy[-1:], "o", color=colour, markersize=4)
        right.plot(_taus(row), accuracy, color=colour, linewidth=1.8, label=title)
    left.set(xscale="log", xlabel="synaptic events per image so far", ylabel="accuracy, %", ylim=(0, 101))
    right.set(xlabel="time constants, or synchronous steps", ylabel="accuracy, %", ylim=(0, 101))
    left.set_title("What an answer costs")
    right.set_title("How long it takes")
    left.legend(frameon=False, fontsize=7, loc="lower right")
    save_figure(figure, file)
    return True


def _taus(row: Row) -> list[float]:
    curve = row.by_step or {}
    if "times_s" not in curve:
        return [float(step) for step in range(1, len(curve["accuracy"]) + 1)]
    tau_s = row.details[row.backend]["tau_s"]
    return [time / tau_s for time in curve["times_s"]]
