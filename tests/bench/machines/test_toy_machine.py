"""A machine of one's own: a class and one entry in the registry, and everything runs on it, its options included."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.relaxing_circuit import RelaxingCircuit
from helpers.run_calls import call, refused

from bench import learn as bench_learn
from bench import run as bench_run
from bench.machines.backend import Backend, Conditions, LearningKey, Prices, RowKey, ScratchLearner, Settling, Workload
from bench.machines.registry import BACKENDS, backend_of
from bench.records.row import Row
from bench.reports.run_report import main_rows
from bench.studies import run as studies
from hw.cost.cost import Cost, Range
from hw.learning.rule import Learned
from hw.ledger import Ledger, counted
from hw.machine import Machine, Settled
from mapping.learning import network_with
from mapping.machines import to_digital
from models.data import load_data
from models.ep.network import Dense, EPNetwork, build_network
from models.files.checkpoint import load_network, save_network


class LearningCircuit:
    """Settles by itself; phases and updates are those of the digital machine, whose weights it takes over."""

    def __init__(self, network: EPNetwork, steps: int, tolerance: float) -> None:
        self.network, self.tolerance, self.digital = network, tolerance, to_digital(network, steps=steps)

    def settle(self, images: Any, *, trace: bool = False) -> Settled:
        held = network_with(self.network, self.digital.read_weights())
        return RelaxingCircuit(held, tolerance=self.tolerance).settle(images, trace=trace)

    def learn(self, images: Any, labels: Any, rule: Any) -> Learned:
        return self.digital.learn(images, labels, rule)

    def read_weights(self) -> Any:
        return self.digital.read_weights()

    def __enter__(self) -> LearningCircuit:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Toy(Backend):
    """Capacitors that come to rest by themselves."""

    rest_tolerance: float = 0.02
    """How far from its end a state is at rest."""

    name = "toy"
    precisions = ("analog",)
    learns = ("float",)
    panel = "toy"

    def check(self, settling: Settling, state_bits: int) -> None:  # noqa: ARG002
        if not 0 < self.rest_tolerance < 1:
            raise ValueError(f"--rest-tolerance is {self.rest_tolerance}, must be between 0 and 1")

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:  # noqa: ARG002
        return [lambda: RelaxingCircuit(work.network, tolerance=self.rest_tolerance)]

    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:  # noqa: ARG002
        heat = counted(ledger.analog, "analog")
        parts = {name: joules / ledger.images for name, joules in heat.energy_j.items()}
        total, seconds = sum(parts.values()), heat.settled_s / ledger.images
        cost = Cost(Range(total, total, total), Range(seconds, seconds, seconds), parts, "heat", "a toy")
        return Prices({"heat": cost}, {})

    def coding(self, precision: str) -> None:  # noqa: ARG002
        return None

    def learners(
        self,
        conditions: Conditions,
        precisions: Sequence[str],
        updates: Sequence[str],  # noqa: ARG002
    ) -> list[ScratchLearner]:
        steps = conditions.settling.steps
        return [
            ScratchLearner(
                LearningKey(self.name, precision),
                "dies",
                "die",
                conditions.seed,
                lambda source: LearningCircuit(source, steps, self.rest_tolerance),
            )
            for precision in precisions
        ]


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The one entry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKENDS, "toy", Toy)
        patch.setattr(studies, "QUICK_TRAINING", 16)
        yield


@pytest.fixture(scope="module")
def settled(registered: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:  # noqa: ARG001
    """The last line and the folder of a run beside torch, of a dense network that is not trained."""
    folder = tmp_path_factory.mktemp("toy")
    drawn = build_network((1, 8, 8), (Dense(12, gain=0.5), Dense(6, gain=0.5)), 10, torch.Generator().manual_seed(0))
    save_network(drawn, folder / "drawn.safetensors")
    options = ["--model", folder / "drawn.safetensors", "--data", "digits", "--limit", 6, "--disturbances"]
    options += ["gaussian-0.2", "--backend", "toy", "--rest-tolerance", 0.05, "--output", folder / "run"]
    return call(bench_run, *options), folder / "run"


def test_it_settles_beside_the_reference_and_answers_as_it_does(settled: tuple[dict[str, Any], Path]) -> None:
    reference, toy = settled[0]["rows"]
    assert (toy["backend"], toy["precision"], toy["point"]) == ("toy", "analog", None)
    assert toy["accuracy"] == reference["accuracy"]
    assert toy["robust"].keys() == reference["robust"].keys() == {"gaussian-0.2"}
    assert toy["steps"] is toy["synops"] is toy["coding"] is None
    assert toy["rest_s"] > 0
    assert toy["latency_s"]["measured"] is None, "a simulation's clock is not the circuit's"
    cost = toy["costs"]["heat"]
    assert toy["energy_j"]["nominal"] == cost["energy_j"]["nominal"] == pytest.approx(sum(cost["breakdown_j"].values()))
    assert json.loads((settled[1] / "config.json").read_text())["rest_tolerance"] == 0.05


def test_reports_have_its_figures_and_dashes_for_what_it_does_not_count(settled: tuple[dict[str, Any], Path]) -> None:
    document, folder = settled
    report = (folder / "report.md").read_text()
    assert "| per image | torch float | toy analog |" in report
    assert "| steps | 40 | - |" in report
    assert "| time to rest | - | " in report
    assert "| toy analog | heat | " in report
    with (folder / "summary.csv").open() as stream:
        _, line = csv.DictReader(stream)
    assert float(line["rest_s"]) == document["rows"][1]["rest_s"]
    assert line["steps"] == line["synops"] == ""
    assert (folder / "settling.png").stat().st_size > 0
    assert (folder / "energy.png").stat().st_size > 0


def test_it_learns_from_scratch_and_what_it_has_learnt_can_be_used(tmp_path: Path) -> None:
    options = ["scratch", "--backend", "toy", "--rest-tolerance", 0.1, "--quick", "--limit", 4]
    options += ["--free-steps", 4, "--nudged-steps", 2]
    (row,) = call(bench_learn, *options, "--output", tmp_path / "run")["rows"]
    assert (row["backend"], row["precision"], row["update"], row["die"]) == ("toy", "float", None, None)
    assert len(row["curve"]["accuracy"]) == 2
    assert "written" not in row["curve"]
    assert "| toy float | " in (tmp_path / "run" / "report.md").read_text()
    assert (tmp_path / "run" / "learning.png").stat().st_size > 0
    test = load_data("digits").test.first(4)
    answers = RelaxingCircuit(load_network(tmp_path / "run" / row["learnt"]), tolerance=0.1).settle(
        test.floats().numpy()
    )
    right = float((answers.logits.argmax(axis=1) == test.labels.numpy()).mean())
    assert right == row["curve"]["accuracy"][-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "toy", "--rest-tolerance", "2"], ["--rest-tolerance is 2.0", "between 0 and 1"]),
        (["--backend", "torch", "--rest-tolerance", "0.1"], ["--rest-tolerance is an option of toy", "torch"]),
        (["--backend", "toy", "--precision", "fixed"], ["--precision fixed", "toy: analog"]),
        (["--backend", "tony"], ["'tony'", "nearest: toy", "torch, lava, crossbar, brian, resistive, toy"]),
    ],
)
def test_its_options_are_refused_by_name(options: list[str], words: list[str]) -> None:
    said = refused(bench_run, *options)
    for word in words:
        assert word in said


def test_it_is_listed_and_a_machine_without_an_entry_is_unknown() -> None:
    assert call(bench_run, "--list")["backends"]["toy"] == ["analog"]
    assert backend_of("toy") is Toy
    with pytest.raises(
        ValueError, match="backend 'abacus' is unknown, choices are torch, lava, crossbar, brian, resistive, toy"
    ):
        backend_of("abacus")


def test_points_of_a_machine_of_ones_own_stay_in_the_summary() -> None:
    rows = [Row("torch", "float", "m", "d", 0), *(Row("toy", "analog", "m", "d", 0, {"volts": v}) for v in (1, 2))]
    assert main_rows(rows) == rows


def test_its_states_are_those_of_the_reference() -> None:
    """So that equal accuracies above are no accident of few images."""
    drawn = build_network((1, 8, 8), (Dense(12, gain=0.5), Dense(6, gain=0.5)), 10, torch.Generator().manual_seed(0))
    images = load_data("digits").test.first(2).floats().numpy()
    exact = to_digital(drawn, steps=60).settle(images)
    np.testing.assert_allclose(RelaxingCircuit(drawn, tolerance=0.1).settle(images).logits, exact.logits, atol=1e-4)
