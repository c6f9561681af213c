"""`python -m bench.compare.report FOLDER...`: report.md and pictures of comparisons anew, from their compare.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.command_line import ConfigError
from bench.compare import table
from bench.compare.figures import draw_all
from bench.compare.places import HEADING
from bench.records.folders import environment_of
from bench.reports.command import command_of
from bench.reports.format import markdown
from models.command_line import exit_code
from models.files.typed import read_text
from models.files.whole import write_atomically

DOCUMENT = "compare.json"


def write_report(folder: Path, document: Mapping[str, Any]) -> None:
    """compare.json, report.md and the pictures."""
    write_atomically(folder / DOCUMENT, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    pictures = draw_all(folder, document)
    write_atomically(folder / "report.md", ("\n".join(_page(folder, document, pictures)) + "\n").encode())


def _page(folder: Path, document: Mapping[str, Any], pictures: Mapping[str, str]) -> list[str]:
    rows = document["rows"]
    lines = [
        f"# {document['model']} on every platform",
        "",
        f"{document['images']} test images of {document['data']}, each settled alone; rules of stopping chosen on "
        f"{document['validation']} validation images, where they may cost {100 * document['loss']:g} points. "
        f"T = {document['steps']}, {environment_of(folder).words}",
        "",
        f"    {command_of(folder)}",
        "",
        "Energy and latency are modelled: events counted while machines settle, priced by cited constants "
        "(`python -m bench.constants`), nominal (low to high). Accuracy is that of the simulated machine. What was "
        "measured stands apart.",
        "",
        *_pictures(pictures, ("energy-latency.png", "energy-accuracy.png")),
        *markdown(table.MODELLED, table.platform_lines(rows)),
        "",
        *[f"- {name}: {why}" for name, why in document["absent"].items()],
        "",
        "## Where it sits",
        "",
        *markdown(HEADING, [[place[name] for name in HEADING] for place in document["places"]]),
        "",
        "## When is there an answer?",
        "",
        "Median and 95th percentile over images; thresholds as chosen on validation images.",
        "",
        *markdown(table.EARLY, table.early_lines(rows)),
        "",
        *table.unanswered(document),
        "",
        *_pictures(pictures, ("stopping-energy.png", "stopping-time.png")),
    ]
    return [*lines, *_more(document, pictures)]


def _more(document: Mapping[str, Any], pictures: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    if document["measured"]:
        lines += [
            "## Measured on this computer",
            "",
            *markdown(table.MEASURED, table.measured_lines(document["measured"])),
        ]
        lines += ["", *table.best(document["measured"]), *table.reasons(document["measured"]), ""]
    lines += ["## One epoch of training", "", *markdown(table.TRAINING, table.training_lines(document["training"])), ""]
    lines += ["## Which constant moves the conclusion?", "", *_pictures(pictures, ("sensitivity.png",))]
    lines += [*(f"- {one['words']}" for one in document["sensitivity"]), ""]
    physics = document["physics"]
    lines += [
        "## Distance to physics",
        "",
        physics["words"],
        "",
        *_pictures(pictures, ("physics.png",)),
        *markdown(table.PHYSICS, table.physics_lines(physics)),
        "",
        *markdown(table.SILICON_HEADING, table.silicon_lines()),
        "",
        *markdown(table.TASKS_HEADING, table.task_lines()),
    ]
    return lines


def _pictures(drawn: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [line for name in names if name in drawn for line in (f"![{drawn[name]}]({name})", "")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for a folder without a comparison."""
    folders = [Path(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]

    def work() -> None:
        for folder in folders:
            try:
                document = json.loads(read_text(folder / DOCUMENT))
            except ValueError as error:
                raise ConfigError(f"{folder} holds no comparison: {error}") from error
            write_report(folder, document)

    if code := exit_code(work, batch=lambda: "fewer folders", stopped=lambda: "stopped"):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
