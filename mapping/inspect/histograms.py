"""How the numbers of a file are distributed, a picture per tensor."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mapping.inspect.contents import Contents

MOST = 24
"""Tensors that are drawn: of more, the largest."""
PER_ROW, BINS = 4, 61


def draw_histograms(contents: Contents, file: Path) -> None:
    """Counts on a logarithmic axis, so that the few large numbers that set a range are seen."""
    named = sorted(contents.tensors.items(), key=lambda item: -item[1].size)[:MOST]
    named = [(name, values) for name, values in contents.tensors.items() if name in dict(named)]
    rows = ceil(len(named) / PER_ROW)
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(3 * min(PER_ROW, len(named)), 2.2 * rows), layout="constrained")
        for place, (name, values) in enumerate(named, start=1):
            axes = figure.add_subplot(rows, min(PER_ROW, len(named)), place)
            axes.hist(values.ravel().astype(np.float64), bins=BINS, color="#4477aa", log=True)
            axes.set_title(name)
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, dpi=120)
