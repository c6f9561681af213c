"""The report and the figures of `python -m bench.resistive`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.reports.colours import COLOURS
from bench.reports.figures import new_figure, save_figure
from bench.reports.format import markdown, si
from bench.reports.resistive import energy_table, varied_table
from bench.studies.resistive import STEPS, Study, machine_of
from hw.crossbar.devices.presets import preset
from hw.resistive.power import dissipated_w
from models.files.whole import write_atomically

LEAST = 1e-6
"""Of the largest part of the energy: what is less is not told."""
SHOWN = 12
"""Nodes of every layer whose voltages are drawn."""


def write(results: dict[str, Any], folder: Path) -> None:
    """results.json and report.md."""
    write_atomically(folder / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    exact, energy, made = results["exact"], results["energy"], results["environment"]
    lines = [
        f"# {results['model']} on resistors",
        "",
        f"{results['images']:,} test images, {exact['nodes']} nodes, {exact['resistors']:,} resistors, slowest time "
        f"constant {si(exact['tau_s'], 's')}; {made['date']}, commit {made['commit']}, {made['cpu']}.",
        f"Without errors {100 * exact['accuracy']:.2f} % are right. {results['dies']} dies of {results['device']}, "
        "an hour after programming.",
        "",
        "## Noise of devices and offsets of amplifiers and of what senses outputs",
        "",
        *markdown(["noise, times the published", "accuracy %, mean", "worst die"], _sweep(results["noise"], "noise")),
        "",
        *markdown(
            ["offset, mV of 1 V supply", "accuracy %, mean", "worst die"], _sweep(results["offset"], "offset_mv")
        ),
        "",
        "![Accuracy against noise and offset](noise.png)",
        "",
        "## Energy of an image, beside machines with the same answers",
        "",
        *energy_table(energy),
        "",
        *_notes(energy),
        "",
        "![Energy of an image on every machine](energy.png)",
        "",
        "## What the assumptions decide",
        "",
        *varied_table(energy),
        "",
        f"The thermal limit is 12 kT 4^8 for each of {exact['nodes']} nodes, {si(energy['thermal_limit_j'], 'J')}: the "
        f"circuit is {energy['over_thermal_limit']['nominal']:.3g} times above it "
        f"({energy['over_thermal_limit']['low']:.3g} to {energy['over_thermal_limit']['high']:.3g}).",
        "",
        "![Voltages of one image settling, and power by part](settling.png)",
        "",
    ]
    write_atomically(folder / "report.md", "\n".join(lines).encode())


def _sweep(rows: list[dict[str, Any]], axis: str) -> list[list[str]]:
    return [
        [f"{row[axis]:g}", f"{100 * float(np.mean(row['accuracy'])):.2f}", f"{100 * min(row['accuracy']):.2f}"]
        for row in rows
    ]


def _notes(energy: dict[str, Any]) -> list[str]:
    most = max(energy["breakdown_j"].values())
    parts = ", ".join(f"{name} {si(j, 'J')}" for name, j in energy["breakdown_j"].items() if j > LEAST * most)
    return [
        f"- Of the first {energy['images']:,} images; dies: mean, over as many images as above.",
        f"- Where the nominal energy of resistors goes: {parts}.",
        "- Low to high, resistors: capacities a fifth to five times the nominal, drivers a tenth to ten, converters as",
        "  published (hw/cost/resistive.py). Others: hw/cost. A clocked crossbar has digital biases that are corrected",
        f"  once on the die; it, Loihi and the GPU are given {STEPS} synchronous steps.",
    ]


def draw(study: Study, results: dict[str, Any], folder: Path) -> None:
    """noise.png, energy.png and settling.png."""
    figure = new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    for axes, rows, axis, label in (
        (left, results["noise"], "noise", "noise of devices, times the published one"),
        (right, results["offset"], "offset_mv", "offset of amplifiers and outputs, mV"),
    ):
        values = [row[axis] for row in rows]
        means = [100 * float(np.mean(row["accuracy"])) for row in rows]
        worst = [max(mean - 100 * min(row["accuracy"]), 0.0) for mean, row in zip(means, rows, strict=True)]
        best = [max(100 * max(row["accuracy"]) - mean, 0.0) for mean, row in zip(means, rows, strict=True)]
        axes.errorbar(values, means, yerr=(worst, best), fmt="o-", color=COLOURS[0], capsize=3, label="dies")
        axes.axhline(100 * results["exact"]["accuracy"], color="#888888", linewidth=1, linestyle=":", label="exact")
        axes.set(xlabel=label, ylabel="accuracy, %")
        axes.legend(frameon=False, fontsize=8)
    save_figure(figure, folder / "noise.png")
    _draw_energy(results["energy"], folder / "energy.png")
    _draw_settling(study, folder / "settling.png")


def _draw_energy(energy: dict[str, Any], path: Path) -> None:
    figure = new_figure(9.0, 3.6)
    axes = figure.subplots()
    for place, one in enumerate(energy["machines"]):
        joules, colour = one["energy_j"], COLOURS[0 if one["name"].startswith("resistors") else 1]
        axes.plot([joules["low"], joules["high"]], [place, place], color=colour, linewidth=2)
        axes.plot(joules["nominal"], place, "o", color=colour)
        axes.annotate(f"{100 * one['accuracy']:.1f} %", (joules["high"], place), (6, -3), textcoords="offset points")
    axes.axvline(energy["thermal_limit_j"], color="#888888", linestyle=":", label="thermal limit of 8 bits")
    axes.set_yticks(range(len(energy["machines"])), [one["name"] for one in energy["machines"]])
    axes.set(xscale="log", xlabel="joules per image: low, nominal, high; beside them what is right")
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def _draw_settling(study: Study, path: Path) -> None:
    machine = machine_of(study, None, preset(study.options.device).g_max_s, 0)
    settled = machine.settle(study.images[:1], trace=True)
    assert settled.trace is not None
    assert settled.times_s is not None
    figure = new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    nanoseconds = 1e9 * settled.times_s
    for index, layer in enumerate(settled.trace):
        flat = layer[:, 0].reshape(len(layer), -1).astype(np.float64)
        volts = (flat - machine.reading.shift[index]) / machine.reading.per_volt[index]
        largest = np.argsort(-np.abs(volts[-1]))[:SHOWN]
        left.plot(nanoseconds, 1e3 * volts[:, largest], color=COLOURS[index], linewidth=0.8)
        left.plot([], [], color=COLOURS[index], label=f"layer {index + 1}")
    left.set(xscale="log", xlabel="time, ns", ylabel="mV", title="The largest voltages of one image")
    left.legend(frameon=False, fontsize=8)
    solver, sources, rest = machine.rest(study.images[:1])
    watts = {part: float(one) for part, one in dissipated_w(solver, sources, rest.volts).items()}
    parts = {part: one for part, one in watts.items() if one > 1e-12 * max(watts.values())}
    right.barh(list(parts), list(parts.values()), color=COLOURS[1])
    right.set(xscale="log", xlabel="power at rest, W", title="Where the power goes")
    right.invert_yaxis()
    save_figure(figure, path)
