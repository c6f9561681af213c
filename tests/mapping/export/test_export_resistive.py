"""The files of a resistive network are the network: read again they settle to the same voltages, and so does SPICE."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.exporting import called
from helpers.resistive_examples import needs_ngspice

from hw.resistive.links import DenseResistors
from hw.resistive.network import Layer, ResistiveNetwork
from hw.resistive.settling import settle
from hw.resistive.solver import Solver
from hw.resistive.spice import run_spice
from mapping.resistive import resistive_of
from models.data import load_data
from models.zoo import load_model


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def read(folder: Path, inputs: int) -> ResistiveNetwork:
    """The tables as a network, by what the columns are called alone."""
    nodes = rows(folder / "nodes.csv")
    sizes = [inputs, *(sum(row["layer"] == str(n) for row in nodes) for n in range(1, int(nodes[-1]["layer"]) + 1))]
    rails = [{rail: np.zeros((above, below)) for rail in ("plus", "minus")} for below, above in pairwise(sizes)]
    for row in rows(folder / "resistors.csv"):
        rails[int(row["link"]) - 1][row["rail"]][int(row["above"]), int(row["below"])] = float(row["siemens"])
    layers = []
    for number in range(1, len(sizes)):
        own = [row for row in nodes if row["layer"] == str(number)]
        low, high = ([float(row[name] or none) for row in own] for name, none in (("low_v", "-inf"), ("high_v", "inf")))
        rest = ([float(row[name]) for row in own] for name in ("leak_s", "bias_a"))
        layers.append(Layer(*(np.array(values) for values in (low, high, *rest))))
    links = tuple(DenseResistors(pair["plus"], pair["minus"], sparse=True) for pair in rails)
    return ResistiveNetwork(links, tuple(layers), (None,) * (len(links) - 1), 1.0)


@needs_ngspice
def test_the_files_are_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = called(capsys, "drn-digits", "--to", "resistive", "--output", tmp_path / "out")
    assert code == 0
    held = resistive_of(load_model("drn-digits")).network
    assert (document["resistors"], document["nodes"]) == (held.resistors, sum(held.units))
    made = read(tmp_path / "out", 64)
    first = load_data("digits").train.first(1).floats().double()
    ends = [settle(Solver(one), Solver(one).sources(first)).volts for one in (held, made)]
    spice = run_spice((tmp_path / "out" / "network.cir").read_text()).volts(held)
    for mine, other, judged in zip(*ends, spice, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-13)
        np.testing.assert_allclose(judged[-1], other[0], atol=1e-9)
    assert json.loads((tmp_path / "out" / "export.json").read_text())["format"] == "resistive"
    assert all(float(row["capacity_f"]) > 1e-15 for row in rows(tmp_path / "out" / "nodes.csv"))


@pytest.mark.parametrize(
    ("model", "says"),
    [("digits", "resistors express less than 1"), ("hw-cifar10-small", "resistors express less than 1")],
)
def test_a_network_that_resistors_cannot_express_is_refused_by_name(
    model: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = called(capsys, model, "--to", "resistive", "--output", tmp_path / "out")
    assert code == 2
    assert says in error
    assert not (tmp_path / "out").exists()
