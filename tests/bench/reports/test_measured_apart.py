"""No column of a report or a summary holds measured and modelled figures, and every modelled one names its profile."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.records.row import Row
from bench.reports.run_report import columns, write_summary

BOTH = Row(
    "torch",
    "float",
    "digits",
    "digits",
    0,
    images=8,
    accuracy=0.5,
    accuracy_ci95=(0.2, 0.8),
    energy_j={"low": 1e-6, "nominal": 2e-6, "high": 3e-6, "profile": "horowitz2014-45nm"},
    energy_measured_j=7e-3,
    latency_s={"measured": 5e-3, "low": 1e-5, "nominal": 2e-5, "high": 3e-5, "profile": "horowitz2014-45nm"},
)
"""A processor that is both modelled and measured."""
MODELLED, MEASURED = ("1", "2", "3"), ("7", "5")
"""First digits: no figure of one kind begins as one of the other."""


def test_lines_of_the_summary_are_of_one_kind_each() -> None:
    cells = {name: cell for name, (cell,) in columns([BOTH]) if name.startswith(("energy", "latency"))}
    assert list(cells) == ["energy modelled", "energy measured", "latency modelled", "latency measured"]
    for name, cell in cells.items():
        assert cell.startswith(MEASURED if name.endswith("measured") else MODELLED)
    assert cells["energy modelled"] == "2 µJ (1 µJ to 3 µJ)"


def test_columns_of_the_file_are_of_one_kind_each_and_name_the_profile(tmp_path: Path) -> None:
    write_summary(tmp_path, [BOTH])
    (line,) = csv.DictReader((tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines())
    figures = {name: cell for name, cell in line.items() if name.startswith(("energy", "latency"))}
    assert figures.pop("energy_j.profile") == figures.pop("latency_s.profile") == "horowitz2014-45nm"
    measured = {name for name in figures if "measured" in name}
    assert measured == {"energy_measured_j", "latency_s.measured"}
    assert set(figures) - measured == {f"{kind}.{end}" for kind in ("energy_j", "latency_s") for end in ENDS}
    for name, cell in figures.items():
        assert f"{float(cell):e}".startswith(MEASURED if name in measured else MODELLED)


ENDS = ("low", "nominal", "high")
