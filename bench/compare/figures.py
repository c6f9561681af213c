"""The pictures of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from bench.compare.labels import name_beside
from bench.compare.row import ALL, SHOWN
from bench.reports.colours import COLOURS
from bench.reports.figures import new_figure, save_figure

Row = Mapping[str, Any]

FAMILIES = (
    ("roofline", COLOURS[0], "GPU, clocked"),
    ("sanafe", COLOURS[2], "Loihi"),
    ("loihi2", COLOURS[2], "Loihi"),
    ("davies2018", COLOURS[2], "Loihi"),
    ("settling", COLOURS[5], "resistors that settle"),
    ("", COLOURS[1], "crossbars"),
)
"""Colours by how the name of a profile begins."""
OWN = COLOURS[4]
"""Of profiles of the user's constants."""
RULES = {"steps": COLOURS[6], "residual": COLOURS[0], "confidence": COLOURS[1]}
DEEP = 15.0
"""Points of accuracy below the best that curves are shown down to."""


def draw_all(folder: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """Every picture, as PNG and SVG; what each shows, by file."""
    rows = _drawn(document, document["rows"])
    title = f"{document['model']}, {document['images']} test images of {document['data']}"
    drawn = {}
    for name, says, draw in (
        ("energy-latency.png", "Energy against latency of an answer", lambda file: _energy_latency(rows, title, file)),
        (
            "energy-accuracy.png",
            "Accuracy against energy of an answer",
            lambda file: _energy_accuracy(rows, title, file),
        ),
        (
            "stopping-energy.png",
            "Accuracy against energy, by rule of stopping",
            lambda file: _stopping(document, file, "energy_j"),
        ),
        (
            "stopping-time.png",
            "Accuracy against time, by rule of stopping",
            lambda file: _stopping(document, file, "latency_s"),
        ),
        ("sensitivity.png", "Constants that move the ratio of energies", lambda file: _sensitivity(document, file)),
        ("physics.png", "Joules per multiply-accumulate beside physical limits", lambda file: _physics(document, file)),
    ):
        if draw(folder / name):
            drawn[name] = says
    return drawn


def _drawn(document: Mapping[str, Any], rows: Sequence[Row]) -> list[Row]:
    """One profile of every platform, and those of the user's constants."""
    return [row for row in rows if row["profile"] in (*SHOWN, *document.get("own", ()))]


def _colour(profile: str) -> str:
    if profile not in SHOWN:
        return OWN
    return next(colour for start, colour, _ in FAMILIES if profile.startswith(start))


def _label(row: Row, model: str) -> str:
    name = row["platform"]
    if row["way"] == "one pass":
        return f"{name}: feed-forward twin"
    return name if row["network"] == model else f"{name} ({row['network']})"


def _whole(rows: Sequence[Row]) -> list[Row]:
    """Run to the end, with a latency."""
    return [row for row in rows if row["rule"] == ALL and row["latency_s"] is not None]


def _energy_latency(rows: Sequence[Row], title: str, file: Path) -> bool:
    shown = _whole(rows)
    if not shown:
        return False
    figure = new_figure(10.5, 5.6)
    axes = figure.add_subplot()
    model = title.partition(",")[0]
    points, names, colours = [], [], []
    for row in shown:
        energy, latency = row["energy_j"], row["latency_s"]
        colour = _colour(row["profile"])
        _ranged(axes, latency, energy, colour, filled=row["way"] == "settles")
        early = _early(rows, row)
        # the seconds of resistors leave out their converters, without which nobody stops them
        if early is not None and not row["profile"].startswith("settling"):
            axes.annotate(
                "",
                (early["latency_s"]["nominal"], early["energy_j"]["nominal"]),
                (latency["nominal"], energy["nominal"]),
                arrowprops={"arrowstyle": "->", "color": colour, "alpha": 0.7, "shrinkA": 4, "shrinkB": 0},
            )
        points.append((latency["nominal"], energy["nominal"]))
        names.append(f"{_label(row, model)}, {100 * row['accuracy']:.1f} %")
        colours.append(colour)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="latency of one image (s), modelled",
        ylabel="energy of one image (J), modelled",
    )
    _engineering(axes)
    name_beside(axes, points, names, colours)
    axes.set_title(title, loc="left", fontsize="large")
    figure.supxlabel(
        "Filled: the network settles to the end; an arrow leads to where the cheapest rule stops it. Hollow: its "
        "feed-forward twin, one pass. Percent: accuracy.\nBars: low to high of published constants. Loihi 2*: Loihi 1 "
        "energies on Loihi 2 times. GPU: roofline at full power, launches of kernels not counted.",
        fontsize="small",
        x=0.01,
        ha="left",
    )
    save_figure(figure, file)
    return True


def _early(rows: Sequence[Row], whole: Row) -> Row | None:
    """The same platform, stopped by the rule that takes least; None where none takes less than running to the end."""
    same = ("network", "platform", "profile", "batch")
    found = [row for row in rows if row["rule"] != ALL and all(row[name] == whole[name] for name in same)]
    if not found:
        return None
    least = min(found, key=lambda row: row["energy_j"]["nominal"])
    return least if least["energy_j"]["nominal"] < whole["energy_j"]["nominal"] else None


def _ranged(axes: Axes, across: Mapping[str, float], up: Mapping[str, float], colour: str, *, filled: bool) -> None:
    axes.errorbar(
        across["nominal"],
        up["nominal"],
        xerr=[[across["nominal"] - across["low"]], [across["high"] - across["nominal"]]],
        yerr=[[up["nominal"] - up["low"]], [up["high"] - up["nominal"]]],
        fmt="o",
        color=colour,
        ecolor=colour,
        elinewidth=1,
        alpha=0.9,
        markersize=7,
        markerfacecolor=colour if filled else "white",
    )


def _engineering(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(EngFormatter("s", sep=" "))
    axes.yaxis.set_major_formatter(EngFormatter("J", sep=" "))
    axes.grid(alpha=0.25)


def _energy_accuracy(rows: Sequence[Row], title: str, file: Path) -> bool:
    shown = [row for row in rows if row["rule"] == ALL]
    if not shown:
        return False
    figure = new_figure(10.5, 5.2)
    axes = figure.add_subplot()
    model = title.partition(",")[0]
    points, names, colours = [], [], []
    for row in sorted(shown, key=lambda row: row["energy_j"]["nominal"]):
        energy, colour, share = row["energy_j"], _colour(row["profile"]), 100 * row["accuracy"]
        least, most = (100 * end for end in row["accuracy_ci95"])
        axes.errorbar(
            energy["nominal"],
            share,
            yerr=[[share - least], [most - share]],
            xerr=[[energy["nominal"] - energy["low"]], [energy["high"] - energy["nominal"]]],
            fmt="o",
            color=colour,
            elinewidth=0.8,
            alpha=0.85,
            markersize=7,
            markerfacecolor=colour if row["way"] == "settles" else "white",
        )
        if (early := _early(rows, row)) is not None:
            sooner, then = early["energy_j"]["nominal"], 100 * early["accuracy"]
            axes.plot((energy["nominal"], sooner), (share, then), color=colour, linewidth=1, linestyle=":")
            axes.plot(sooner, then, "D", color=colour, markersize=4)
        points.append((energy["nominal"], share))
        names.append(_label(row, model))
        colours.append(colour)
    axes.set(xscale="log", xlabel="energy of one image (J), modelled, low to high", ylabel="accuracy (%)")
    axes.xaxis.set_major_formatter(EngFormatter("J", sep=" "))
    axes.grid(alpha=0.25)
    name_beside(axes, points, names, colours)
    says = (
        "bars: low to high of published constants, 95 % intervals of accuracy; diamonds: stopped by the cheapest rule"
    )
    axes.set_title(f"{title}\n", loc="left", fontsize="large")
    axes.text(0.0, 1.02, says, transform=axes.transAxes, fontsize="small")
    save_figure(figure, file)
    return True


def _stopping(document: Mapping[str, Any], file: Path, along: str) -> bool:
    """Accuracy against `along`: energy_j or latency_s."""
    points = [point for point in _drawn(document, document["curves"]) if point[along] is not None]
    platforms = list(dict.fromkeys((point["network"], point["platform"]) for point in points))
    if not platforms:
        return False
    columns = min(3, len(platforms))
    lines = -(-len(platforms) // columns)
    figure = new_figure(3.7 * columns, 2.9 * lines)
    for index, name in enumerate(platforms, start=1):
        axes = figure.add_subplot(lines, columns, index)
        _curves(axes, [point for point in points if (point["network"], point["platform"]) == name], along)
        network, platform = name
        axes.set_title(platform if network == document["model"] else f"{platform}\n({network})", fontsize="medium")
        if index == 1:
            axes.legend(title="stopped by", fontsize="small", title_fontsize="small", loc="lower right")
    taken = "energy" if along == "energy_j" else "latency"
    figure.supxlabel(f"mean {taken} of an image, modelled; bands: 95 % intervals (Wilson)", fontsize="medium")
    save_figure(figure, file)
    return True


def _curves(axes: Axes, points: Sequence[Row], along: str) -> None:
    for kind, colour in RULES.items():
        own = sorted(
            (point[along], 100 * point["accuracy"], *(100 * end for end in point["accuracy_ci95"]))
            for point in points
            if point["kind"] == kind
        )
        if own:
            places, shares, low, high = zip(*own, strict=True)
            axes.plot(places, shares, "o-", color=colour, markersize=4, label=kind)
            axes.fill_between(places, low, high, color=colour, alpha=0.12, linewidth=0)
    best = max(100 * point["accuracy"] for point in points)
    top = max(100 * point["accuracy_ci95"][1] for point in points)
    axes.set(xscale="log", ylabel="accuracy (%)", ylim=(best - DEEP, top + DEEP / 30))
    axes.xaxis.set_major_formatter(EngFormatter("J" if along == "energy_j" else "s", sep=" "))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)


def _sensitivity(document: Mapping[str, Any], file: Path) -> bool:
    found = [one for one in document["sensitivity"] if one["bars"]]
    if not found:
        return False
    heights = [len(one["bars"]) + 2.6 for one in found]
    figure = new_figure(10, 0.6 + 0.26 * sum(heights))
    grid = figure.add_gridspec(len(found), 1, height_ratios=heights)
    for index, one in enumerate(found):
        _tornado(figure.add_subplot(grid[index]), one)
    figure.supxlabel("ratio of nominal joules; solid: as it is, dashed: both take the same", fontsize="medium")
    save_figure(figure, file)
    return True


def _tornado(axes: Axes, one: Mapping[str, Any]) -> None:
    for row, bar in enumerate(one["bars"]):
        low, high = sorted((bar["low"], bar["high"]))
        axes.barh(row, high - low, left=low, color=COLOURS[0], height=0.6)
    axes.axvline(one["ratio"], color="black", linewidth=1)
    axes.axvline(1.0, color=COLOURS[1], linestyle="--", linewidth=1.5)
    named = [f"{bar['constant']}  ({bar['spread'][0]:.2g} to {bar['spread'][1]:.2g} x)" for bar in one["bars"]]
    axes.set_yticks(range(len(named)), named, fontsize="small")
    axes.invert_yaxis()
    ends = [end for bar in one["bars"] for end in (bar["low"], bar["high"])] + [1.0]
    axes.set(xscale="log", xlim=(min(ends) / 1.6, max(ends) * 1.6))
    few = max(ends) / min(ends) < 300
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", alpha=0.25)
    axes.set_title(f"{one['ours']}\nover {one['theirs']}: {one['ratio']:.3g}", loc="left", fontsize="small")


def _physics(document: Mapping[str, Any], file: Path) -> bool:
    physics = document["physics"]
    shown = _drawn(document, physics["rows"])
    if not shown:
        return False
    lines = [
        *((row, _physics_name(row, document["model"]), _colour(row["profile"])) for row in shown),
        *(({"mac_j": joules}, f"published: {name}", "black") for name, joules in physics["published"].items()),
    ]
    lines.sort(key=lambda line: line[0]["mac_j"])
    figure = new_figure(9.5, 1.2 + 0.27 * len(lines))
    axes = figure.add_subplot()
    for index, (row, _, colour) in enumerate(lines):
        axes.plot(row["mac_j"], index, "o" if colour != "black" else "s", color=colour, markersize=6)
        if "low_j" in row:
            axes.plot((row["low_j"], row["high_j"]), (index, index), color=colour, linewidth=1.5, alpha=0.7)
    axes.set_yticks(range(len(lines)), [name for _, name, _ in lines], fontsize="small")
    axes.set_ylim(-0.7, len(lines) - 0.3)
    limits = {f"24 kT 4^b / N, {name}": joules for name, joules in physics["thermal_j"].items()}
    limits = {"kT ln 2": physics["landauer_j"], **_fewer(limits, document["model"])}
    for colour, (name, joules) in zip(np.resize(COLOURS[3:], len(limits)), limits.items(), strict=True):
        axes.axvline(joules, color=str(colour), linestyle="--", linewidth=1.5, label=name)
    axes.set(xscale="log", xlabel="J of a multiply-accumulate: modelled, low to high;\nsquares: published silicon")
    axes.xaxis.set_major_formatter(EngFormatter("J", sep=" "))
    axes.grid(axis="x", alpha=0.25)
    axes.legend(fontsize="small", loc="upper center")
    save_figure(figure, file)
    return True


def _fewer(limits: Mapping[str, float], model: str) -> dict[str, float]:
    """That of the network itself: those of its twin and stand-ins are in the table."""
    return {name: joules for name, joules in limits.items() if name.endswith(f", {model}")}


def _physics_name(row: Row, model: str) -> str:
    return row["platform"] if row["network"] == model else f"{row['platform']} ({row['network']})"
