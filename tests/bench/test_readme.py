"""What the README shows is what the committed results say."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from bench.report import columns, device_lines, markdown
from bench.rows import read_rows
from bench.run import main
from hw.crossbar.devices.presets import PRESETS
from models.zoo import load_model

ROOT = Path(main.__code__.co_filename).parents[1]
RESULTS = ROOT / "bench" / "results" / "digits"


def test_table_in_the_readme_is_that_of_the_results_file():
    named = columns(read_rows(RESULTS / "rows.jsonl"))
    readme = (ROOT / "README.md").read_text()
    assert "| per image | " + " | ".join(named[0][1]) + " |" in readme
    for name, cells in named[1:]:
        assert "| " + " | ".join([name, *cells]) + " |" in readme


def test_devices_in_the_readme_are_those_of_the_results_file():
    heading, *lines = device_lines(read_rows(RESULTS.with_name("digits-crossbar") / "rows.jsonl"))
    readme = (ROOT / "README.md").read_text()
    assert [line[0] for line in lines] == list(PRESETS)
    for line in markdown(heading, lines):
        assert line in readme


def test_the_default_die_is_within_a_point_of_float_after_an_hour():
    reference, *rows = read_rows(RESULTS.with_name("digits-crossbar") / "rows.jsonl")
    default = {"device": "pcm-nandakumar-2019", "noise_scale": 1.0, "hours": 1.0, "adc_bits": 8, "tile_size": 256}
    (row,) = (row for row in rows if row["point"] == default)
    assert len(row["accuracy_by_die"]) == 5
    assert row["accuracy"] >= reference["accuracy"] - 0.01
    sweep = read_rows(RESULTS.with_name("digits-crossbar-noise") / "rows.jsonl")
    assert len(sweep) == 1 + 5 * 3


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
def test_python_in_the_readme_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_options_in_the_readme_are_those_of_the_command_line(monkeypatch, capsys):
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"bench\.run ([^#`\n]*)", readme) + re.findall(r"`(--[^`]*)`", readme)
    assert len(commands) > 10
    monkeypatch.setattr(sys, "argv", ["bench.run", "--help"])
    with pytest.raises(SystemExit):
        main()
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    for option in re.findall(r"--[a-z-]+", " ".join(commands)):
        assert option in known, option


def test_results_belong_to_the_network_that_is_shipped():
    rows = read_rows(RESULTS / "rows.jsonl")
    manifest = json.loads((ROOT / "models" / "zoo" / "digits.json").read_text())
    assert rows[0]["images"] == manifest["test"]["count"]
    assert round(rows[0]["accuracy"] * rows[0]["images"]) == manifest["test"]["correct"]
    units = sum(int(tensor.numel()) for tensor in load_model("digits").named_parameters().values())
    assert units == manifest["parameters"]


def test_figures_that_are_promised_hold_in_the_results():
    torch_float, lava_float, fixed, delta = read_rows(RESULTS / "rows.jsonl")
    assert torch_float["accuracy"] >= 0.98
    assert lava_float["accuracy"] == torch_float["accuracy"]
    assert abs(fixed["accuracy"] - torch_float["accuracy"]) <= 0.005
    assert fixed["accuracy"] == delta["accuracy"]
    assert fixed["robust"] == delta["robust"]
    assert delta["steps"] == 40
    assert delta["synops"]["dense"] >= 20 * delta["synops"]["delta"]
