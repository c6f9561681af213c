"""The pictures of the zoo: one column of panels per network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records.zoo_row import ZooRow
from bench.reports.colours import COLOURS
from bench.reports.figures import new_figure, save_figure
from bench.zoo.published import PUBLISHED

NAMES = {"float": "float", "delta": "int8"}
CODINGS = {"dense": "every state", "zero_skip": "states that are not zero", "delta": "states that changed"}


def draw_steps(networks: dict[str, list[ZooRow]], file: Path) -> None:
    """Accuracy, and synaptic operations up to there, against the number of synchronous steps."""
    figure, panels = _grid(len(networks))
    for (model, rows), (top, bottom) in zip(networks.items(), panels, strict=True):
        for row, colour, dashes in zip(rows, COLOURS, ("-", (0, (4, 2))), strict=False):
            curves = row.row.by_step or {}
            steps = range(1, len(curves["accuracy"]) + 1)
            top.plot(
                steps, _percent(curves["accuracy"]), color=colour, linestyle=dashes, label=NAMES[row.row.precision]
            )
            low, high = zip(*curves["accuracy_ci95"], strict=True)
            top.fill_between(steps, _percent(low), _percent(high), color=colour, alpha=0.2, linewidth=0)
        cut = (rows[0].feedback or {}).get("accuracy_cut")
        if cut is not None:
            top.axhline(100 * cut, color="#888888", linewidth=1, linestyle=(0, (1, 1)), label="feedback cut, float")
        published = PUBLISHED.get(rows[0].row.data)
        if published is not None:
            points = published.percent
            top.plot(list(points), list(points.values()), ":", color="#000000", linewidth=1, label=published.name)
        counted = rows[-1].row.by_step or {}
        for (coding, label), colour in zip(CODINGS.items(), COLOURS[2:], strict=False):
            if f"synops_{coding}" in counted:
                bottom.plot(steps, counted[f"synops_{coding}"], color=colour, label=label)
        top.set(
            title=f"{Path(model).stem}\n{rows[0].row.images:,} test images of {rows[0].row.data}",
            ylim=(0, 101),
            xscale="log",
        )
        bottom.set(xlabel="synchronous steps T", yscale="log", xscale="log")
        for axes in (top, bottom):
            axes.legend(frameon=False, fontsize=7, loc="lower right")
            axes.set_xticks([1, 2, 5, 10, 20, 50, 100, 200], ["1", "2", "5", "10", "20", "50", "100", "200"])
            axes.set_xticks([], minor=True)
            axes.set_xlim(1, max([len(steps), *(published.percent if published else ())]))
    panels[0][0].set_ylabel("accuracy after T steps, %")
    panels[0][1].set_ylabel("synaptic operations\nper image in T steps")
    save_figure(figure, file)


def draw_training(manifests: dict[str, dict[str, Any]], file: Path) -> None:
    """Accuracy while training, and how far the slowest images are from rest, against epochs."""
    figure, panels = _grid(len(manifests))
    for (model, manifest), (top, bottom) in zip(manifests.items(), panels, strict=True):
        history = manifest["history"]
        epochs = [record["epoch"] for record in history]
        marker = "o" if len(epochs) == 1 else None
        for name, label, colour in zip(("train", "validation"), ("training", "validation"), COLOURS, strict=False):
            shares = [record[f"{name}_accuracy"] for record in history]
            top.plot(epochs, _percent(shares), color=colour, label=label, marker=marker)
        # a residual of 0 has no place on a logarithmic axis
        residuals = [record["residual_p95"] or float("nan") for record in history]
        bottom.plot(epochs, residuals, color=COLOURS[2], marker=marker)
        top.set(title=Path(model).stem)
        top.legend(frameon=False, fontsize=7, loc="lower right")
        bottom.set(xlabel="epoch", yscale="log")
        if not any(record["residual_p95"] for record in history):
            bottom.text(0.5, 0.5, "0 in every epoch", transform=bottom.transAxes, ha="center")
            bottom.tick_params(axis="y", which="both", left=False, labelleft=False)
        for axes in (top, bottom):
            axes.set_xlim(0, 1.02 * epochs[-1])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    panels[0][0].set_ylabel("accuracy, %")
    panels[0][1].set_ylabel("residual that 95 %\nof validation images keep below")
    save_figure(figure, file)


def draw_feedback(networks: dict[str, list[ZooRow]], manifests: dict[str, dict[str, Any]], file: Path) -> None:
    """Accuracy with feedback and without, the sweeps of a gradient, and the radius, against the largest share."""
    figure = new_figure(11.0, 4.2)
    left, right = figure.subplots(1, 2)
    measured = {model: rows[0].feedback for model, rows in networks.items() if rows[0].feedback is not None}
    for (model, feedback), colour in zip(measured.items(), COLOURS, strict=False):
        share, name = max(feedback["share"], default=0.0), Path(model).stem
        left.plot([share] * 2, _percent([feedback["accuracy_cut"], feedback["accuracy"]]), color=colour, linewidth=0.8)
        left.plot([share], _percent([feedback["accuracy"]]), "o", color=colour, label=name)
        left.plot([share], _percent([feedback["accuracy_cut"]]), "o", color=colour, markerfacecolor="white")
        phases = manifests[model]["hyperparameters"]
        right.plot([share], [feedback["radius"]], "o", color=colour)
        if "free_steps" in phases:  # a twin has no phases
            label = f" {name}: {phases['free_steps']} + {phases['nudged_steps']}"
            right.annotate(label, (share, feedback["radius"]), fontsize=7)
    left.set(ylabel="accuracy, %; hollow: feedback cut", title="What feedback carries")
    right.set(ylabel="spectral radius at rest", ylim=(0, 1), title="Sweeps of a gradient, free + nudged")
    for axes in (left, right):
        axes.set(xlabel="feedback in the layer that has most")
        axes.margins(x=0.25)
    left.legend(frameon=False, fontsize=7)
    save_figure(figure, file)


def _grid(columns: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    figure = new_figure(max(5.0, 3.6 * columns), 5.4)
    many = figure.subplots(2, columns, squeeze=False)
    return figure, list(zip(many[0], many[1], strict=True))


def _percent(shares: Any) -> list[float]:
    return [100 * share for share in shares]
