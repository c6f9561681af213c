"""The report and the figures of `python -m bench.resistive`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.reports.figures import COLOURS, new_figure, save_figure
from bench.reports.format import markdown, si, spread
from bench.studies.resistive import Study, machine_of
from hw.crossbar.devices.presets import preset
from hw.resistive.power import dissipated_w
from models.files.tensorfile import write_atomically

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
        f"Without errors {100 * exact['accuracy']:.2f} % are right. {results['dies']} dies of {results['device']}.",
        "",
        "## An hour after programming, and repaired by equilibrium propagation on the die",
        "",
        *_repair_table(results["repair"]),
        "",
        "## Noise of devices (an hour after programming) and offsets of what senses outputs",
        "",
        *markdown(["noise, times the published", "accuracy %, mean", "worst die"], _sweep(results["noise"], "noise")),
        "",
        *markdown(
            ["offset, mV of 1 V supply", "accuracy %, mean", "worst die"], _sweep(results["offset"], "offset_mv")
        ),
        "",
        "![Accuracy against noise and offset](noise.png)",
        "",
        "## Energy of an image",
        "",
        *_energy_table(energy),
        "",
        "Low to high: capacities a fifth to five times the nominal, drivers a tenth to ten (hw/cost/resistive.py).",
        f"The thermal limit is 12 kT 4^8 for each of {exact['nodes']} nodes, {si(energy['thermal_limit_j'], 'J')}: the "
        f"circuit is {energy['over_thermal_limit']['nominal']:.3g} times above it.",
        "",
        "![Voltages of one image settling, and power by part](settling.png)",
        "",
    ]
    write_atomically(folder / "report.md", "\n".join(lines).encode())


def _repair_table(dies: list[dict[str, Any]]) -> list[str]:
    epochs = len(dies[0]["accuracy"]) - 1
    heading = ["die", "after 1 h", *(f"epoch {epoch}" for epoch in range(1, epochs + 1)), "devices written"]
    rows = [
        [str(die["die"]), *(f"{100 * share:.2f}" for share in die["accuracy"]), f"{die['devices_written']:,}"]
        for die in dies
    ]
    means = np.mean([die["accuracy"] for die in dies], axis=0)
    return markdown(heading, [*rows, ["mean", *(f"{100 * mean:.2f}" for mean in means), ""]])


def _sweep(rows: list[dict[str, Any]], axis: str) -> list[list[str]]:
    return [
        [f"{row[axis]:g}", f"{100 * float(np.mean(row['accuracy'])):.2f}", f"{100 * min(row['accuracy']):.2f}"]
        for row in rows
    ]


def _energy_table(energy: dict[str, Any]) -> list[str]:
    gpu = energy["gpu"]
    parts = ", ".join(f"{name} {si(joules, 'J')}" for name, joules in energy["breakdown_j"].items())
    rows = [
        [
            "resistors",
            f"{100 * energy['accuracy']:.2f}",
            spread(energy["energy_j"], "J"),
            spread(energy["latency_s"], "s"),
        ],
        [
            f"{gpu['profile']}, {gpu['steps']} steps",
            f"{100 * gpu['accuracy']:.2f}",
            spread(gpu["energy_j"], "J"),
            spread(gpu["latency_s"], "s"),
        ],
    ]
    table = markdown(["machine", "accuracy %", "energy, modelled", "time, modelled"], rows)
    return [*table, "", f"Where the nominal energy of resistors goes: {parts}."]


def draw(study: Study, results: dict[str, Any], folder: Path) -> None:
    """noise.png and settling.png."""
    figure = new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    for axes, rows, axis, label in (
        (left, results["noise"], "noise", "noise of devices, times the published one"),
        (right, results["offset"], "offset_mv", "offset of outputs, mV"),
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
    _draw_settling(study, folder / "settling.png")


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
