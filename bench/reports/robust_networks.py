"""The picture of several networks under attack: against eps, against smoothness, against feedback."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from bench.networks import checkpoint_name
from bench.reports.colours import MANY_COLOURS
from bench.reports.figures import new_figure, save_figure
from bench.reports.robust_seeds import SEED
from bench.reports.robustness_figures import Look, mark
from bench.reports.studied import Studied
from bench.robustness.suites import WORST
from models.files.checkpoint import manifest_path
from models.zoo.manifests import checkpoint_of, manifest_of

CUT = " (cut)"
SYMBOLS = "osD^"
"""One for the first networks, another where colours begin anew."""


def draw_networks(studies: Sequence[Studied], file: Path) -> None:
    """What the worst attack leaves, with intervals: by eps in either norm, and at the middle L2 radius by the distance
    to the nearest wrong answer to first order and by the share of feedback in the drive. Seeds of a recipe have its
    colour and symbol, and networks that are cut that of the whole ones, dashed and hollow."""
    recipes = [SEED.sub("", study.name.removesuffix(CUT)) for study in studies]
    looks = dict(zip(dict.fromkeys(recipes), product(SYMBOLS, MANY_COLOURS), strict=False))
    figure = new_figure(14.5, 8.6)
    panels = figure.subplots(2, 2)
    radii = sorted({row.eps for row in studies[0].rows if row.attack == WORST and row.norm == "L2" and row.eps})
    middle = radii[len(radii) // 2]
    named: set[str] = set()
    for study, recipe in zip(studies, recipes, strict=True):
        cut = study.name.endswith(CUT)
        symbol, colour = looks[recipe]
        look, dot = Look(colour, "--" if cut else "-", symbol, cut), Look(colour, "none", symbol, cut)
        name = recipe + (CUT if cut else "")
        for axes, norm in zip(panels[0], ("L2", "Linf"), strict=True):
            rows = [study.rows[0], *(row for row in study.rows if row.attack == WORST and row.norm == norm)]
            told = name if norm == "Linf" and name not in named else "_"
            mark(axes, [row.eps or 0.0 for row in rows], rows, look, told)
        named.add(name)
        if (row := study.worst("L2", middle)) is None:
            continue
        mark(panels[1][0], [study.reach["l2"]], [row], dot, "_")
        if (share := feedback_share(study)) is not None:
            mark(panels[1][1], [share], [row], dot, "_")
    for axes, norm in zip(panels[0], ("L2", "Linf"), strict=True):
        axes.set(xlabel=f"eps, {norm}", ylabel="right after the worst attack, %", ylim=(0, 101), xlim=(0, None))
    panels[0][1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1.0))
    panels[1][0].set(xlabel="median distance to the nearest wrong answer, to first order, L2")
    panels[1][1].set(xlabel="largest share of feedback in the drive of a layer")
    for axes in panels[1]:
        axes.set(ylabel=f"right after the worst attack, L2 {middle:.3g}, %", ylim=(0, None))
    first = studies[0].rows[0]
    images = " or ".join(map(str, sorted({study.rows[0].images for study in studies})))
    figure.suptitle(f"{len(studies)} networks, {images} images of {first.data}; bars: 95 % intervals")
    save_figure(figure, file)


def feedback_share(study: Studied) -> float | None:
    """The largest over layers, at rest, from the manifest; 0 without feedback, None where it was not measured."""
    first = study.rows[0]
    if not first.feedback:
        return 0.0
    name = checkpoint_name(first.model)
    if not manifest_path(checkpoint_of(name)).is_file():
        return None
    shares = manifest_of(name).get("feedback", {}).get("share")
    return max(shares) if shares else None
