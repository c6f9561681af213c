"""Brian on the command lines: rows, pictures and refusals."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.learning_examples import example
from helpers.run_calls import call, refused, stopped

from bench import learn as bench_learn
from bench import run as bench_run
from bench.records.row import WATCHED, Row
from bench.records.rows_file import read_rows
from hw.cost.profiles import PROFILES
from hw.cost.spiking import SPIKING
from models.ep.network import Conv, Dense, build_network
from models.files.checkpoint import save_network


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of digits in which little happens."""
    file = tmp_path_factory.mktemp("model") / "small.safetensors"
    layers = (Conv(2, kernel=4, stride=2, padding=0), Dense(6))
    save_network(build_network((1, 8, 8), layers, 10, torch.Generator().manual_seed(2)), file)
    return file


@pytest.fixture(scope="module")
def run(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("run") / "run"
    options = ("--backend", "brian", "--model", small, "--data", "digits", "--limit", 6, "--disturbances", "--plots")
    more = ("--steps", 6, "--dt-tau", 0.5, "--copies", 4, "--tau-s", 0.01)
    return call(bench_run, *options, *more, "--output", folder), folder


def test_rows_say_what_neurons_did_and_what_that_costs(run: tuple[dict[str, Any], Path]) -> None:
    document, folder = run
    assert [row["precision"] for row in document["rows"]] == ["float", "rate", "spikes"]
    assert all("seen" not in row for row in document["rows"]), "single neurons are left to the file"
    reference, rate, spikes = (Row.from_json(row) for row in read_rows(folder / "rows.jsonl"))
    for row in (rate, spikes):
        assert row.steps is None
        assert row.rest_s is not None
        assert 0 < row.rest_s <= 0.06 + 1e-9
        assert row.by_step is not None
        np.testing.assert_allclose(row.by_step["times_s"], 0.005 * np.arange(1, 13))
    block = spikes.details["brian"]
    assert spikes.coding == "delta"
    assert spikes.synops is not None
    assert sum(block["synops_up"]) + sum(block["synops_down"]) == pytest.approx(spikes.synops["delta"])
    assert block["neuron_updates"] == 12 * (2 * 3 * 3 + 6)
    assert set(spikes.costs) == {*PROFILES, *SPIKING}
    assert set(rate.unpriced) == {*PROFILES, *SPIKING}
    assert reference.steps == 6


def test_pictures_are_drawn_of_what_was_watched(run: tuple[dict[str, Any], Path]) -> None:
    _, folder = run
    rows = [Row.from_json(row) for row in read_rows(folder / "rows.jsonl")]
    seen = rows[2].details["brian"][WATCHED]
    assert sum(layer["spikes"] for layer in seen["layers"]) == sum(
        len(layer["spike_units"]) for layer in seen["layers"]
    )
    report = (folder / "report.md").read_text(encoding="utf-8")
    for name in ("codings.png", "neurons-brian-rate.png", "neurons-brian-spikes.png"):
        assert (folder / name).stat().st_size > 0
        assert f"({name})" in report


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dt-tau", "1.5"], "--dt-tau is 1.5, must be at most 1: beyond one tau a step overshoots"),
        (["--tau-s", "-0.001"], "--tau-s is -0.001, must be a finite number above 0"),
        (["--copies", "0"], "--copies is 0, must be 1 to 10,000"),
        (["--latency-s", "0.001"], "the refractory period must be at least the latency"),
        (["--threshold", "0"], "--threshold is 0.0, must be a finite number above 0"),
        (["--spikes-per-tau", "5"], "--spikes-per-tau changes nothing here: it needs --precision fire"),
        (["--precision", "rate", "--payload", "unit"], "--payload changes nothing here: it needs --precision spikes"),
        (["--precision", "rate", "--membrane-noise", "0.1"], "it needs --precision spikes or fire"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(options: list[str], says: str) -> None:
    assert says in refused(bench_run, "--backend", "brian", *options)


def test_max_pooling_is_refused_before_work_starts(tmp_path: Path) -> None:
    network = example("max pool")
    save_network(network, tmp_path / "max.safetensors")
    data = tmp_path / "images.npz"
    np.savez(data, images=np.zeros((40, 1, 6, 5), np.float32), labels=np.arange(40) % 3)
    options = ("--model", tmp_path / "max.safetensors", "--data", data, "--output", tmp_path / "run")
    assert "link1 pools by maxima" in stopped(bench_run, "--backend", "brian", *options)
    assert not (tmp_path / "run" / "rows.jsonl").exists()


def test_too_many_copies_are_refused_with_how_many_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("models.train.free_memory.free_bytes", lambda _: 3e8)
    options = ("--linear", "synapses", "--copies", "300", "--output", tmp_path / "run")
    says = stopped(bench_run, "--backend", "brian", *options)
    assert "--copies 300: " in says
    assert "would fit; as operators" in says


def test_without_brian_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = importlib.util.find_spec
    monkeypatch.setattr("bench.machines.brian.find_spec", lambda name: None if name == "brian2" else genuine(name))
    for command, first in ((bench_run, []), (bench_learn, ["scratch"])):
        assert "pip install 'ep-hardware[brian]'" in refused(command, *first, "--backend", "brian")


@pytest.mark.slow
def test_rates_and_spikes_learn_from_scratch(tmp_path: Path) -> None:
    """A few updates each: what they come to is in the committed results."""
    options = ("--backend", "brian", "--quick", "--epochs", 1, "--dt-tau", 1, "--steps", 4)
    short = ("--free-steps", 3, "--nudged-steps", 2, "--learning-batch", 128)
    document = call(bench_learn, "scratch", *options, *short, "--limit", 8, "--output", tmp_path / "run")
    assert [(row["backend"], row["precision"]) for row in document["rows"]] == [("brian", "rate"), ("brian", "spikes")]
