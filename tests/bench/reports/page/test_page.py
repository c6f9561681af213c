"""One report of several folders: the figures say what the rows say, and the page works without a network."""

from __future__ import annotations

import csv
import json
import re
import time
from dataclasses import replace
from importlib import util
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.browser import CHROMIUM, MISSING, opened

from bench import report, run
from bench.records.folders import begin
from bench.records.robust_row import RobustRow
from bench.records.row import Row
from bench.records.rows_file import append_row, read_rows
from bench.reports.blocks import RESULTS
from bench.reports.command import arguments_of
from bench.reports.page.accuracy import LINE_FROM, accuracy_figures
from bench.reports.page.costs import cost_figures
from bench.reports.page.courses import course_figures
from bench.reports.page.gathered import gather
from bench.reports.page.table import lines_of
from bench.sweeps.place import Place

FOLDERS = [str(RESULTS / name) for name in ("digits", "digits-crossbar", "digits-repair", "digits-beta")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of runs and studies."""
    folder = tmp_path_factory.mktemp("report")
    report.main([*FOLDERS, "--output", str(folder)])
    return folder


def lines(made: Path, name: str) -> list[dict[str, str]]:
    with (made / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_is_a_picture_a_drawing_and_a_table(made: Path) -> None:
    names = {file.stem for file in (made / "figures").iterdir()}
    wanted = {"accuracy-hours", "accuracy-gaussian", "accuracy-pgd-linf", "energy", "events"}
    assert names == {*wanted, "energy-parts", "front", "settling", "work", "learning", "cosines"}
    text = (made / "report.md").read_text(encoding="utf-8")
    for name in names:
        picture, drawing = ((made / "figures" / f"{name}.{kind}").read_bytes() for kind in ("png", "svg"))
        assert picture.startswith(b"\x89PNG")
        assert drawing.startswith(b"<svg")
        assert lines(made, f"figures/{name}.csv")
        assert f"(figures/{name}.png)" in text
    command = next(line for line in text.splitlines() if "python -m bench.run --backend crossbar" in line)
    assert "--device-preset all --hours 0.0 1.0 --output" in command
    assert f"python -m bench.report {FOLDERS[0]}" in text


def test_figures_show_every_die_and_the_intervals_of_the_rows() -> None:
    gathered = gather([RESULTS / "digits-crossbar-noise"])
    figures = {figure.name: figure.data for figure in (*accuracy_figures(gathered), *cost_figures(gathered))}
    rows = [Row.from_json(row) for row in read_rows(RESULTS / "digits-crossbar-noise" / "rows.jsonl")][1:]
    drawn = figures["accuracy-noise_scale"]
    means = [line for line in drawn if line["kind"] == "mean"]
    assert len(means) == len(rows) == 15
    for row in rows:
        where = (row.at("noise_scale"), str(row.at("hours")))
        (mean,) = (one for one in means if (one["place"], one["series"]) == where)
        shares = (row.accuracy, *(row.accuracy_ci95 or ()))
        told = [mean[name] for name in ("accuracy", "low", "high")]
        assert told == pytest.approx([100 * (one or 0) for one in shares], abs=1e-3)
        dies = {one["accuracy"] for one in drawn if one["kind"] == "die" and (one["place"], one["series"]) == where}
        assert dies == {round(100 * die, 3) for die in row.crossbar["accuracy_by_die"]}
        assert mean["points"] == 5 >= LINE_FROM
    assert {line["machine"] for line in figures["energy"]} == {"torch float", "crossbar analog"}
    assert all(line["low"] <= line["nominal"] <= line["high"] for line in figures["energy"])
    events = {line["event"] for line in figures["events"] if line["machine"] == "crossbar analog"}
    assert events == {"reads of tiles", "conversions to analog", "conversions to digital"}


def test_charts_are_what_vega_lite_reads() -> None:
    """Against its schema, which reports skip."""
    gathered = gather([Path(folder) for folder in FOLDERS])
    for figure in [*accuracy_figures(gathered), *cost_figures(gathered), *course_figures(gathered)]:
        figure.chart.to_dict()


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_the_page_sorts_filters_and_says_nothing_on_the_console(made: Path, tmp_path: Path) -> None:
    seen = opened(
        made / "report.html",
        """
        const headings = all("#table thead th");
        const heading = (name) => headings.find((one) => one.textContent.trim() === name);
        const place = (name) => headings.indexOf(heading(name));
        const column = (name) => all("#table tbody tr").map((row) => row.children[place(name)].textContent);
        found.info = document.querySelector(".dt-info").textContent;
        heading("accuracy %").click();
        await until(() => heading("accuracy %").getAttribute("aria-sort") === "ascending");
        found.sorted = column("accuracy %").map(Number);
        const search = document.querySelector(".dt-search input");
        search.value = "lava delta";
        search.dispatchEvent(new Event("input", { bubbles: true }));
        await until(() => document.querySelector(".dt-info").textContent !== found.info);
        found.searched = column("machine");
        search.value = "";
        search.dispatchEvent(new Event("input", { bubbles: true }));
        await until(() => document.querySelector(".dt-info").textContent === found.info);
        all(".dtsp-searchPane td").find((one) => one.textContent.startsWith("lava fixed")).click();
        await until(() => document.querySelector(".dt-info").textContent !== found.info);
        found.chosen = column("machine");
        found.charts = all(".chart svg.marks").length;
        const drawn = () => document.querySelector('[data-name="accuracy-hours"] svg.marks').innerHTML;
        const choice = document.querySelector('[data-name="accuracy-hours"] select');
        const before = drawn();
        choice.selectedIndex = choice.selectedIndex ? 0 : 1;
        choice.dispatchEvent(new Event("input", { bubbles: true }));
        choice.dispatchEvent(new Event("change", { bubbles: true }));
        await until(() => drawn() !== before);
        found.redrawn = true;
        found.wide = document.documentElement.scrollWidth <= window.innerWidth + 1;
        """,
        tmp_path,
    )
    assert seen.console == []
    rows = len(lines(made, "summary.csv"))
    assert seen.found["info"] == f"Showing 1 to 25 of {rows} entries"
    assert seen.found["sorted"] == sorted(seen.found["sorted"])
    assert seen.found["searched"] == ["lava delta"]
    assert seen.found["chosen"] == ["lava fixed"]
    assert seen.found["charts"] == 11
    assert seen.found["redrawn"]
    assert seen.found["wide"]


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_no_column_is_cut_on_paper(made: Path, tmp_path: Path) -> None:
    """Paper is as wide as its text, and columns without a figure among the rows that are shown are left out."""
    style = made / "report.html"
    page = tmp_path / "printed.html"
    page.write_text(style.read_text(encoding="utf-8").replace("@media print", "@media all"), encoding="utf-8")
    script = """
        const cells = all("#table thead th").filter((one) => getComputedStyle(one).display !== "none");
        found.columns = cells.map((one) => one.textContent.trim());
        found.blank = all("#table tbody td").filter((one) => getComputedStyle(one).display !== "none").length;
        found.rows = all("#table tbody tr").length;
        found.right = Math.max(...cells.map((one) => one.getBoundingClientRect().right));
        found.window = window.innerWidth;
    """
    seen = opened(page, script, tmp_path, width=1050)  # 277 mm of paper at 96 dots an inch
    assert seen.found["right"] <= seen.found["window"]
    assert {"machine", "accuracy %", "low", "high"} <= set(seen.found["columns"])
    assert seen.found["blank"] == seen.found["rows"] * len(seen.found["columns"])
    shown = lines(made, "summary.csv")[: seen.found["rows"]]
    told = {name.replace("_", " ") for name in shown[0] if any(line[name] for line in shown)}
    assert set(seen.found["columns"]) <= told


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_the_page_fits_a_phone(made: Path, tmp_path: Path) -> None:
    script = "found.width = document.documentElement.scrollWidth; found.window = window.innerWidth;"
    seen = opened(made / "report.html", script, tmp_path, width=500)
    assert seen.console == []
    assert seen.found["width"] <= seen.found["window"]


def test_the_page_needs_no_network(made: Path) -> None:
    text = (made / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    assert not re.search(r"""import[^;]{0,80}from ["']https?:""", text)


def test_attacked_images_are_shown_beside_the_clean_ones(tmp_path: Path) -> None:
    arguments = ["--limit", "9", "--steps", "6", "--disturbances", "pgd-linf-0.1"]
    folder = tmp_path / "run"
    folder.mkdir()
    (row,) = run.run(run.read(arguments), folder)
    report.main([str(folder), "--output", str(tmp_path / "page")])
    shown = lines(tmp_path / "page", "figures/adversarial.csv")
    assert [line["shown"] for line in shown] == ["clean"] * 8 + ["pgd-linf-0.1"] * 8
    right = [line["class"] == line["answered"] for line in shown]
    assert sum(right[:8]) >= 9 * (row.accuracy or 0) - 1
    assert sum(right[8:]) <= 9 * row.robust["pgd-linf-0.1"]
    text = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'"url":"data:image/png;base64,', text)) == 16


def test_what_attacks_leave_is_the_worst_of_each_radius(tmp_path: Path) -> None:
    folder = tmp_path / "attacked"
    folder.mkdir()
    common = RobustRow("digits", "digits", 0, "torch", "float", "PGD", "white", 10, 0.5, (0.2, 0.8), 0.9, True)
    for name, eps, share in (("PGD", 0.1, 0.5), ("Square", 0.1, 0.7), ("PGD", 0.2, 0.1), ("Square", 0.2, 0.0)):
        row = replace(common, attack=name, norm="Linf", eps=eps, accuracy=share)
        append_row(folder / "rows.jsonl", row.to_json())
    begin(folder, {"backend": ["torch"], "robustness": True}, "cpu")
    gathered = gather([folder])
    (figure,) = course_figures(gathered)
    assert [(line["attack"], line["place"], line["accuracy"]) for line in figure.data] == [
        ("none", 0, 90),
        ("PGD", 0.1, 50),
        ("Square", 0.2, 0),
    ]
    assert [line["attack"] for line in lines_of(gathered)] == ["PGD", "Square"] * 2
    assert gathered.sources[0].command == f"python -m bench.robustness --backend torch --output {folder.name}"


def test_the_command_of_a_run_makes_the_same_run() -> None:
    from bench import learn

    for file in sorted(RESULTS.glob("*/config.json")):
        config = json.loads(file.read_text(encoding="utf-8"))
        if "backend" not in config:
            continue
        command, *arguments = arguments_of(config)
        made: dict[str, Any] = {"bench.run": run, "bench.learn": learn}[command].read(arguments).identity
        again = json.loads(json.dumps(made))
        differing = {name for name in config.keys() & again.keys() if config[name] != again[name]}
        # studies from scratch once wrote down what was asked for, before what it means for them
        older = {"encoding", "hours"} if file.parent.name == "digits-scratch" else set()
        assert not differing - {"model_sha256", "data_sha256"} - older, (file, differing)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no folder"),
        (["gone"], "gone is not a folder"),
        ([FOLDERS[0], FOLDERS[0]], "name each folder once"),
        ([str(RESULTS / "zoo")], "bench.zoo"),
        ([str(RESULTS)], "is no folder of a run, a study or a sweep"),
        ([FOLDERS[0], "--data-dir", "gone"], "--data-dir 'gone' is not a folder"),
    ],
)
def test_what_is_no_folder_of_rows_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        report.main([*arguments, "--output", str(tmp_path / "report")])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_what_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = util.find_spec
    monkeypatch.setattr("bench.report.find_spec", lambda name: None if name == "vl_convert" else found(name))
    with pytest.raises(SystemExit) as ended:
        report.main(FOLDERS)
    assert ended.value.code == 2
    assert "needs vl-convert-python: pip install '.[report]'" in capsys.readouterr().err


@pytest.mark.slow
def test_ten_thousand_rows_are_reported_in_seconds_on_a_page_below_five_megabytes(tmp_path: Path) -> None:
    """In time of the processor, which other programs do not lengthen; rows as the crossbar of digits makes them."""
    made = Row.from_json(read_rows(RESULTS / "digits-crossbar-noise" / "rows.jsonl")[1]).to_json()
    place, rng = Place(tmp_path / "sweep"), np.random.default_rng(0)
    place.make()
    begin(place.folder, {"command": "python -m bench.sweep grid.toml"}, "cpu")
    axes = {"device": range(5), "noise_scale": range(10), "hours": (0, 1, 24, 168, 720), "tile_size": (64, 256)}
    for number, (seed, *values) in enumerate(product(range(20), *axes.values())):
        where = dict(zip(axes, (f"device-{values[0]}", *values[1:]), strict=True))
        dies = np.clip(0.98 - 0.04 * values[1] + 0.02 * rng.standard_normal(5), 0, 1).tolist()
        row = {**made, "seed": seed, "point": {**made["point"], **where}, "accuracy": float(np.mean(dies))}
        row["crossbar"] = {**made["crossbar"], "accuracy_by_die": dies}
        coordinates = {"seed": seed, **where}
        place.put("rows", f"{number:016x}", {"command": "bench.run", "coordinates": coordinates, "rows": [row]})
    start = time.process_time()
    report.main([str(place.folder), "--output", str(tmp_path / "page")])
    assert time.process_time() - start < 10
    assert len(lines(tmp_path / "page", "summary.csv")) == 10_000
    assert (tmp_path / "page" / "report.html").stat().st_size < 5e6
