"""The worked examples, and the code in the page of the models, run and come to what they say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "bench" / "examples").glob("[a-z]*.py"))


def run(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_module(f"bench.examples.{name}", run_name="__main__")
    return capsys.readouterr().out


def shares(printed: str) -> list[float]:
    return [float(share) for share in re.findall(r"([0-9.]+)%", printed)]


def test_a_network_of_the_zoo_settles_on_three_machines(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run("settle_on_machines", capsys)
    digital, lava, die = shares(printed)
    assert digital >= 95
    assert abs(digital - lava) <= 3.2  # one image of 32
    assert die >= 85
    delta, dense = (int(count.replace(",", "")) for count in re.findall(r"sends? ([0-9,]+) ", printed))
    assert dense > 20 * delta


def test_own_arrays_become_a_network_on_a_chip(capsys: pytest.CaptureFixture[str]) -> None:
    (right,) = shares(run("own_data", capsys))
    assert right >= 95


def test_a_damaged_die_is_repaired(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = shares(run("repair_a_die", capsys))
    assert after >= before + 10


def test_every_example_is_named_in_the_page_of_the_examples() -> None:
    listed = re.findall(r"^(\w+)  ", (ROOT / "bench/examples/__init__.py").read_text(), re.MULTILINE)
    assert sorted(listed) == EXAMPLES
    assert all("# %%" in (ROOT / f"bench/examples/{name}.py").read_text() for name in EXAMPLES)


def test_the_code_in_the_page_of_the_models_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "models/README.md").read_text(), re.DOTALL)
    exec(compile(block, "models/README.md", "exec"), {})
    assert float(capsys.readouterr().out) >= 0.95
