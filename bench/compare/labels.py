"""Names beside dots, none over another: a column at the right of the axes, each joined to its dot by a thin line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

Point = tuple[float, float]
LINE = 0.052
"""Height of a name, as a share of that of the axes."""


def spaced(heights: Sequence[float] | NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Places in the order of `heights`, as near to them as can be with `least` between neighbours, inside 0 to 1.

    Groups that would overlap share the mean of their heights (pool adjacent violators); names that need more room than
    there is are spread evenly.
    """
    order = np.argsort(heights, kind="stable")
    count = len(order)
    least = min(least, 1.0 / max(count - 1, 1))
    # subtracting a ladder of steps turns "at least so far apart" into "not falling"
    steps = least * np.arange(count)
    groups: list[tuple[float, int]] = []
    for value in np.asarray(heights, np.float64)[order] - steps:
        total, members = float(value), 1
        while groups and groups[-1][0] / groups[-1][1] > total / members:
            before, others = groups.pop()
            total, members = total + before, members + others
        groups.append((total, members))
    level = np.concatenate([np.full(members, total / members) for total, members in groups])
    placed = np.empty(count)
    placed[order] = np.clip(level, 0.0, 1.0 - steps[-1] if count else 0.0) + steps
    return placed


def name_beside(axes: Axes, points: Sequence[Point], names: Sequence[str], colours: Sequence[str]) -> None:
    """Write the names of points, in the units of the data, at the right; call it once the scales are set."""
    axes.autoscale_view()
    low, high = axes.get_ylim()
    low, high = np.log10([low, high]) if axes.get_yscale() == "log" else (low, high)
    axes.set_ylim(axes.get_ylim())
    axes.set_xlim(axes.get_xlim())
    ups = np.array([np.log10(up) if axes.get_yscale() == "log" else up for _, up in points])
    for point, name, colour, height in zip(
        points, names, colours, spaced((ups - low) / (high - low), LINE), strict=True
    ):
        axes.annotate(
            name,
            point,
            xytext=(1.03, height),
            textcoords="axes fraction",
            color=colour,
            fontsize="small",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "alpha": 0.35,
                "linewidth": 0.8,
                "shrinkA": 1,
                "relpos": (0.0, 0.5),
                "shrinkB": 4,
            },
            annotation_clip=False,
        )
