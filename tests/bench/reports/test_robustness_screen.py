"""What a terminal shows of a study of robustness."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.reports.robustness import print_table
from bench.reports.studied import read_study

KEPT = Path(__file__).parents[3] / "bench" / "results" / "robustness-noise" / "noise-twin-smooth"


def test_every_machine_has_a_table_of_its_own_on_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = read_study(KEPT).rows
    print_table(rows, Path("run"))
    shown = capsys.readouterr().out
    assert "…" not in shown
    titled = [" ".join(part.split("┏")[0].split()) for part in shown.split("hw-cifar10-short-twin-smooth-0, ")[1:]]
    assert titled == list(dict.fromkeys(row.machine for row in rows))
    for row in (row for row in rows if row.norm is not None):
        below = " ".join(shown.split()).split(f"{row.machine} ┏")[1].split("twin-smooth-0, ")[0]
        assert f"{row.attack}, {row.norm} {row.eps:.4g}" in below
