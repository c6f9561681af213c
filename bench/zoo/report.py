"""report.md of the zoo: one table, and what its columns mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.records.folders import Environment
from bench.records.zoo_row import ZooRow
from bench.reports.format import markdown, percent, si, spread
from bench.reports.provenance import mixed
from bench.zoo.cards import FEEDBACK_IMAGES, TILE_SIZE
from bench.zoo.published import PUBLISHED
from models.files.whole import write_atomically

NEAR = 0.005
"""Accuracy below that of all steps at which a step limit counts as enough."""
HEADING = (
    "network",
    "test images",
    "accuracy, float %",
    "accuracy, int8 %",
    "T",
    "T within 0.5 points",
    "residual, median",
    "residual, 95 %",
    "q",
    "feedback",
    "accuracy, cut %",
    "same answer at 2 T, %",
    "radius",
    "synops, every state",
    "not zero",
    "changed",
    "energy on Loihi",
    "weights",
    "units",
    "synapses per unit",
    "Loihi cores",
    "tiles",
)


def table_lines(networks: dict[str, list[ZooRow]]) -> list[list[str]]:
    """One line of cells, named by `HEADING`, for every network; a dash where integers cannot run it."""
    lines = []
    for model, rows in networks.items():
        reference, counted = rows[0].row, rows[-1].row
        fixed = counted if counted.precision == "delta" else None
        size, residual, synops = rows[0].network, reference.residual or {}, counted.synops or {}
        lines.append(
            [
                Path(model).stem,
                f"{reference.images:,} of {reference.data}",
                percent(reference.accuracy, reference.accuracy_ci95),
                "-" if fixed is None else percent(fixed.accuracy, fixed.accuracy_ci95),
                str(rows[0].step_limit),
                str(enough((reference.by_step or {})["accuracy"])),
                f"{residual['median']:.2g}",
                f"{residual['p95']:.2g}",
                "-" if size["contraction"] is None else f"{size['contraction']:.2f}",
                *_feedback_cells(rows[0].feedback),
                si(synops["dense"], ""),
                si(synops["zero_skip"], ""),
                "-" if fixed is None else si(synops["delta"], ""),
                "-" if fixed is None else spread(fixed.energy_j, "J"),
                f"{size['parameters']:,}",
                f"{size['units']:,}",
                f"{size['synapses_per_unit']:,}",
                str(sum(size["loihi_cores"]["layers"]) + size["loihi_cores"]["input"]),
                str(sum(size["tiles"]["links"])),
            ]
        )
    return lines


def _feedback_cells(feedback: dict[str, Any] | None) -> list[str]:
    """Share by layer, accuracy cut, agreement and radius; dashes in rows that are older."""
    if feedback is None:
        return ["-"] * 4
    share = ", ".join(f"{value:.3f}" for value in feedback["share"])
    radius = f"{feedback['radius']:.2f} (to {feedback['radius_max']:.2f})"
    return [share or "none", f"{100 * feedback['accuracy_cut']:.1f}", f"{100 * feedback['agreement']:.1f}", radius]


def enough(accuracy: list[float]) -> int:
    """The fewest steps from which on no step limit up to the last is more than `NEAR` below it."""
    far = [step for step, share in enumerate(accuracy, start=1) if share < accuracy[-1] - NEAR - 1e-12]
    return (far[-1] if far else 0) + 1


def write_zoo_report(
    folder: Path, networks: dict[str, list[ZooRow]], manifests: dict[str, dict[str, Any]], environment: Environment
) -> None:
    """report.md: a column per network, what the lines mean, how each was made, and the pictures."""
    lines = table_lines(networks)
    columns = [list(cells) for cells in zip(HEADING, *lines, strict=True)]
    profiles = {
        row.row.energy_j["profile"] for rows in networks.values() for row in rows if row.row.precision == "delta"
    }
    text = [
        f"# Networks of the zoo: {', '.join(Path(model).stem for model in networks)}",
        "",
        environment.words,
        "",
        *markdown(columns[0], columns[1:]),
        "",
        *mixed([row for rows in networks.values() for row in rows]),
        "- Accuracy on clean test images after T synchronous steps from zero, with Wilson's 95 % interval. int8:",
        "  weights and states of 8 bits on Lava; a dash where integers cannot run a network, since it pools by max.",
        "- T within 0.5 points: the fewest float steps from which on accuracy stays that close to that of all T.",
        "- Residual: largest change of a state in step T, median over images and what 95 % keep below; in float.",
        "- q: a bound from the weights alone; below 1, every step brings all states of any image nearer to their one",
        "  equilibrium by at least this factor (models/ep/contraction.py). A dash for maxima, of which none is known.",
        f"- Feedback, in float, on the first {FEEDBACK_IMAGES:,} test images (models/ep/feedback.py): of all layers",
        "  but the last, at rest, the norm of what comes from above over that of what comes from below; accuracy of a",
        "  pass upwards, with feedback cut; images with the same answer after T and 2 T steps; and the spectral radius",
        "  of the settling map, median over images (and the slowest): what a step leaves of a disturbance.",
        "- Synops: synaptic operations per image of all links, up and down, in T steps, if every state is sent at",
        "  each, those that are not zero, or those that changed by at least 1/255; of int8, or else of float.",
        f"- Energy on Loihi: modelled, per image, nominal (low to high), changes sent; {', '.join(sorted(profiles))}.",
        "- Synapses per unit: the most that end in one unit, from the link below and the link above together; under",
        "  pooling, one for every weight of every place in the window.",
        "- Loihi cores: of at most 1,024 units and 128 KiB of synapses, those of the input included.",
        f"- Tiles: crossbar tiles of {TILE_SIZE} x {TILE_SIZE} weights that all links and the readout take.",
        "",
        "![Accuracy and synaptic operations against the number of steps](steps.png)",
        "",
        *_cited(networks),
        "![What feedback carries, and what it takes](feedback.png)",
        "",
        "![Accuracy and residual while training](training.png)",
        "",
        "Training accuracy is that of the free phase on images as they passed, shifted and with noisy weights where",
        "the recipe says so.",
        "",
        "| network | made by | images trained on | epochs | training | date |",
        "|---|---|---|---|---|---|",
        *(_made(Path(model).stem, manifest) for model, manifest in manifests.items()),
        "",
    ]
    write_atomically(folder / "report.md", "\n".join(text).encode())


def _made(name: str, manifest: dict[str, Any]) -> str:
    took = f"{manifest['wall_s'] / 60:.1f} min, {manifest['device']}, {manifest['threads']} threads"
    images, epochs = manifest["images"]["train"], len(manifest["history"])
    return f"| {name} | `{manifest['command']}` | {images:,} | {epochs} | {took} | {manifest['date']} |"


def _cited(networks: dict[str, list[ZooRow]]) -> list[str]:
    """Where the dotted lines of the picture come from."""
    cited = dict.fromkeys(rows[0].row.data for rows in networks.values() if rows[0].row.data in PUBLISHED)
    return [line for data in cited for line in (f"Dotted, {data}: {PUBLISHED[data].source}.", "")]
