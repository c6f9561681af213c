"""Networks side by side: the table holds what rows and manifests hold, and what cannot be compared is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.run_calls import call, stopped

from bench import run as bench_run
from bench.records.row import Row
from bench.records.rows_file import read_rows
from bench.reports import side_by_side
from bench.reports.side_by_side import compared, draw, table
from bench.zoo.report import enough
from models.zoo.manifests import manifest_of


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run of two networks of the zoo by changes on Lava, without disturbances."""
    made = []
    for model in ("digits", "digits-noise-aware"):
        folder = tmp_path_factory.mktemp("runs") / model
        options = ("--model", model, "--limit", 8, "--steps", 5, "--disturbances", "--output", folder)
        call(bench_run, "--backend", "lava", "--precision", "delta", *options)
        made.append(folder)
    return made


def test_every_network_has_its_figures_in_its_column(folders) -> None:
    lines = table([compared(folder) for folder in folders])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "digits", "digits-noise-aware"]
    named = {cell[0]: cell[1:] for cell in cells}
    for column, model in enumerate(("digits", "digits-noise-aware")):
        feedback = manifest_of(model)["feedback"]
        rows = {(row["backend"], row["precision"]): row for row in read_rows(folders[column] / "rows.jsonl")}
        assert named["feedback by layer"][column] == f"{feedback['share'][0]:.2f}"
        assert named["validation, feedback cut, %"][column] == f"{100 * feedback['accuracy_cut']:.1f}"
        assert named["test, float, %"][column].startswith(f"{100 * rows['torch', 'float']['accuracy']:.1f} (")
        changed = named["test, int8 on Lava, changes sent, %"][column]
        assert changed.startswith(f"{100 * rows['lava', 'delta']['accuracy']:.1f} (")
        reference = Row.from_json(rows["torch", "float"])
        assert named["steps until within 0.5 points"][column] == str(enough(reference.by_step["accuracy"]))
    assert "test, dies, %" not in named


def test_the_picture_shows_every_curve(folders, tmp_path, monkeypatch) -> None:
    kept = []
    monkeypatch.setattr(side_by_side, "save_figure", lambda figure, _: kept.append(figure))
    networks = [compared(folder) for folder in folders]
    draw(networks, tmp_path / "picture.png")
    machines, steps, work = kept[0].axes
    assert len(machines.containers) == sum(len(one.rows) for one in networks)
    curves = [line for line in steps.lines if len(line.get_ydata()) > 2]
    for one, line in zip(networks, curves, strict=True):
        assert list(line.get_ydata()) == [100 * share for share in one.reference.by_step["accuracy"]]
    sent = [list(line.get_ydata()) for line in work.lines]
    assert sent == [one.rows["int8 on Lava, changes sent"].by_step["synops_delta"] for one in networks]


def test_the_command_writes_table_and_picture(folders, tmp_path, capsys) -> None:
    side_by_side.main([*map(str, folders), "--output", str(tmp_path / "both")])
    text = (tmp_path / "both" / "side-by-side.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() in text
    assert (tmp_path / "both" / "side-by-side.png").stat().st_size > 10_000


def test_folders_that_cannot_be_compared_are_named(tmp_path) -> None:
    said = stopped(side_by_side, tmp_path / "nothing", "--output", tmp_path / "out")
    assert "nothing holds no row of torch in float" in said
    assert not (tmp_path / "out").exists()
    assert "no folder to compare" in stopped(side_by_side, "--output", tmp_path / "out")
