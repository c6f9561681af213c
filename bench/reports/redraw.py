"""`python -m bench.reports.redraw FOLDER...`: report and pictures of runs and studies anew, from their rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.command_line import ConfigError
from bench.records.folders import CONFIG, ROWS, environment_of
from bench.records.learning_row import LearningRow
from bench.records.row import Row
from bench.records.rows_file import read_rows
from bench.reports.learning import write_learning_report
from bench.reports.learning_figures import draw_learning
from bench.reports.run_report import write_all
from models.command_line import exit_code
from models.files.typed import read_text


def redraw(folder: Path) -> None:
    """Of one folder; ConfigError where it holds no rows of a run or a study."""
    rows = read_rows(folder / ROWS)
    if not rows or {"step_limit", "threat"} & rows[0].keys():
        raise ConfigError(f"{folder} holds no rows of bench.run or bench.learn")
    if "learn" in rows[0]:
        lessons = [LearningRow.from_json(row) for row in rows]
        write_learning_report(folder, lessons, environment_of(folder))
        draw_learning(lessons, folder / "learning.png")
    else:
        steps = json.loads(read_text(folder / CONFIG))["steps"]
        write_all(folder, [Row.from_json(row) for row in rows], steps)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for a folder without rows."""
    folders = [Path(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]

    def work() -> None:
        for folder in folders:
            redraw(folder)

    if code := exit_code(work, batch=lambda: "fewer folders", stopped=lambda: "stopped"):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
