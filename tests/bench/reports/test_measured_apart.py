"""No column of a report or a summary holds measured and modelled figures, and every modelled one names its profile."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bench.records.row import Row
from bench.records.rows_file import read_rows
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
ENDS = ("low", "nominal", "high")
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


RESULTS = Path(__file__).parents[3] / "bench" / "results"


@pytest.mark.parametrize("name", ["digits", "digits-crossbar"])
def test_every_kept_cost_has_its_range_and_names_its_profile(name: str) -> None:
    rows = [Row.from_json(row) for row in read_rows(RESULTS / name / "rows.jsonl")]
    priced = [(row, *one) for row in rows for one in row.costs.items()]
    assert priced
    for row, profile, cost in priced:
        assert cost["profile"] == profile
        for figures in (cost["energy_j"], cost["latency_s"]):
            assert figures is None or figures["low"] <= figures["nominal"] <= figures["high"]
        main = next(iter(row.costs))
        assert row.energy_j["profile"] == main
        assert {end: row.energy_j[end] for end in ENDS} == row.costs[main]["energy_j"]
