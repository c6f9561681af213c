"""Learning runs as a user calls them: rows, files, resume, bad options; and the sums of their reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from helpers.run_calls import call, refused, stopped

from bench import learn as bench_learn
from bench import run as bench_run
from bench.machines.crossbar_prices import effort
from bench.records.learning_row import LearningRow
from bench.studies import beta
from bench.studies import run as learning_run
from bench.studies.curve import learning_curve
from bench.studies.defaults import SCRATCH
from bench.studies.options import LearnOptions, schedule_of
from bench.studies.repair import ARMS, mean_curve, summary, won_back
from bench.studies.scratch import NETWORKS
from bench.studies.training import Labelled, Material, Training
from hw.circuit import weights_of
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.updates.rewriting import Rewriting
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Learned
from mapping.circuit import circuit_of
from mapping.learning import network_with
from mapping.machines import to_crossbar, to_digital
from mapping.program import Program
from mapping.training import LearningSchedule, train_on_machine
from models.data import load_data
from models.ep.network import Dense, EPNetwork, build_network
from models.files.checkpoint import load_network, save_network
from models.recipes import recipe_for

SHORT = ["--limit", "8", "--steps", "4", "--free-steps", "4", "--nudged-steps", "2", "--quick"]
REPAIR = ["repair", *SHORT]
LEARNT, REWRITTEN, LEFT = ARMS[0], ARMS[1], ARMS[2]


@pytest.fixture(autouse=True)
def _few_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two updates instead of eight, few to calibrate with: nobody here asks how well a die learns."""
    monkeypatch.setattr(learning_run, "DIE_CALIBRATION_IMAGES", 8)
    monkeypatch.setattr(learning_run, "QUICK_TRAINING", 32)


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _check_curve(curve: dict[str, Any], epochs: int) -> None:
    assert len(curve["accuracy"]) == epochs + 1
    assert len(curve["train_accuracy"]) == len(curve["written"]) == len(curve["agreement"]) == epochs
    assert all(0 <= value <= 1 for value in (*curve["accuracy"], *curve["train_accuracy"]))
    assert curve["stopped"] is None
    for events, energy in zip(curve["written"], curve["energy_j"], strict=True):
        assert set(events) == {"devices", "pulses", "verify_reads", "energy_j", "given_up"}
        assert events["devices"] > 0
        assert 0 < energy["low"] <= energy["nominal"] <= energy["high"]
    assert 0 < curve["writes_per_device"]["mean"] <= curve["writes_per_device"]["max"]


def test_a_repair_has_a_row_per_die_and_goes_on_where_it_was_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    whole = call(bench_learn, *REPAIR, "--dies", "2", "--output", str(folder))
    assert whole["folder"] == str(folder)
    rows = sorted(whole["rows"], key=lambda row: row["die"])
    assert [row["die"] for row in rows] == [1, 2]
    for row in rows:
        described = {name: row[name] for name in ("learn", "backend", "precision", "update", "model", "images", "seed")}
        assert described == {
            "learn": "repair", "backend": "crossbar", "precision": "analog", "update": "rewrite", "model": "digits",
            "images": 8, "seed": 0,
        }  # fmt: skip
        assert row["point"]["device"] == "pcm-nandakumar-2019"
        assert 0 <= row["float_accuracy"] <= 1
        assert row["damage"] == {"stuck_on": 0.025, "stuck_off": 0.025, "transpose_terminals": "opposite"}
        assert tuple(row["arms"]) == ARMS
        _check_curve(row["arms"][LEARNT], 1)
        _check_curve(row["arms"][ARMS[3]], 1)
        assert list(row["arms"][LEFT]) == ["accuracy"]
        assert len(row["arms"][LEFT]["accuracy"]) == 1
        # write-verify may spend what learning wrote; a weight whose sign turns over takes two writes
        spent, budget = (row["arms"][arm]["written"][0]["devices"] for arm in (REWRITTEN, LEARNT))
        assert 0 < spent < 2 * budget
        assert row["arms"][REWRITTEN]["written"][0]["verify_reads"] > 0
        # what was written is what devices of this die have had
        assert row["arms"][REWRITTEN]["writes_per_device"]["max"] >= 1
    assert rows[0]["arms"] != rows[1]["arms"]
    assert {file.name for file in folder.iterdir()} >= {
        "config.json", "env.json", "rows.jsonl", "report.md", "learning.png",
    }  # fmt: skip
    report = (folder / "report.md").read_text()
    for arm in ARMS:
        assert f"| {arm} |" in report
    assert "2.5 % of the devices stuck on, 2.5 % stuck off" in report

    file = folder / "rows.jsonl"
    kept = _rows(file)
    file.write_text(json.dumps(kept[0]) + "\n" + json.dumps(kept[1])[:200])  # killed while it wrote the second
    made: list[int] = []
    repair = learning_run.repair_die
    monkeypatch.setattr(
        learning_run, "repair_die", lambda *arguments: made.append(arguments[2] + 1) or repair(*arguments)
    )
    again = call(bench_learn, *REPAIR, "--dies", "2", "--output", str(folder), "--resume")["rows"]
    assert made == [kept[1]["die"]]
    # a die is its seed: the one made anew is the one that was lost
    assert sorted(again, key=lambda row: row["die"]) == rows
    assert sorted(_rows(file), key=lambda row: row["die"]) == rows
    # nothing is left to do
    made.clear()
    assert call(bench_learn, *REPAIR, "--dies", "2", "--output", str(folder), "--resume")["rows"] == again
    assert not made
    other = ["--dies", "2", "--epochs", "2", "--output", str(folder), "--resume"]
    said = refused(bench_learn, *REPAIR, *other)
    assert "epochs = None, not 2" in said


def test_machines_that_learn_from_scratch_have_a_curve_each(tmp_path: Path) -> None:
    options = ["scratch", "--backend", "torch", "crossbar", "--device-preset", "li-ecram-2018"]
    options += ["--update", "pulses", "mixed", "--dies", "2", *SHORT]
    rows = call(bench_learn, *options, "--output", str(tmp_path / "run"))["rows"]
    keys = [(row["backend"], row["precision"], row["update"], row["die"]) for row in rows]
    dies = [("crossbar", "analog", update, die) for update in ("pulses", "mixed") for die in (1, 2)]
    assert sorted(map(str, keys)) == sorted(
        map(str, [("torch", "float", None, None), ("torch", "fixed", None, None), *dies])
    )
    for row in rows:
        curve = row["curve"]
        if row["backend"] == "torch":
            assert len(curve["accuracy"]) == 2
            assert "written" not in curve
        else:
            _check_curve(curve, 1)
            # its response to pulses is published, and the voltage of one is not
            assert curve["written"][0]["pulses"] > 0
            assert curve["written"][0]["energy_j"] is None
            assert all(0 < value <= 1 for value in curve["agreement"][0])
    assert (tmp_path / "run" / "learning.png").exists()


def test_a_beta_sweep_has_a_cosine_for_every_beta_and_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ["beta", "--beta", "0.2", "0.5", "--noise-scale", "0", "--hours", "0"]
    options += ["--adc-bits", "None", *SHORT, "--free-steps", "2", "--nudged-steps", "1"]
    monkeypatch.setattr(beta, "BATCH", 8)
    rows = call(bench_learn, *options, "--output", str(tmp_path / "run"))["rows"]
    for row in rows:
        assert [entry["beta"] for entry in row["cosines"]] == [0.2, 0.5] * (len(row["cosines"]) // 2)
        assert len({(entry["remedy"], entry["beta"]) for entry in row["cosines"]}) == len(row["cosines"])
        for entry in row["cosines"]:
            assert set(entry["cosine"]) == {"link1", "link2", "readout"}
            assert all(-1 <= value <= 1 + 1e-9 for value in entry["cosine"].values())


BAD: list[tuple[list[str], list[str]]] = [
    (["mend"], ["study", "'mend'", "'repair'", "'scratch'", "'beta'"]),
    (
        ["repair", "--update", "pulse"],
        ["--update 'pulse' is unknown", "rewrite, pulses, mixed, two-arrays"],
    ),
    (["repair", "--backend", "torch"], ["the study repair", "--backend crossbar alone", "torch"]),
    (["beta", "--backend", "crossbar", "torch"], ["the study beta", "--backend crossbar alone", "torch"]),
    (["repair", "--beta", "0"], ["beta is 0.0: the nudge must be positive"]),
    (["beta", "--beta", "0.1", "-1"], ["beta is -1.0: the nudge must be positive"]),
    (
        ["repair", "--beta", "0.1", "0.2"],
        ["--beta [0.1, 0.2]: only the study beta sweeps it"],
    ),
    (
        ["repair", "--update", "rewrite", "mixed"],
        ["--update ['rewrite', 'mixed']: a repair writes in one way"],
    ),
    (
        ["repair", "--estimator", "random"],
        ["--estimator", "'random'", "'one_sided', 'centered'", "'n_point'"],
    ),
    (
        ["repair", "--estimator", "n_point", "--nudges", "3"],
        ["points is 3, must be an even number from 2"],
    ),
    (["repair", "--phase-repeats", "0"], ["repeats is 0, must be at least 1"]),
    (["repair", "--free-steps", "0"], ["free_steps 0", "must be at least 1"]),
    (
        ["scratch", "--backend", "torch", "lava", "--update", "mixed"],
        ["--update ['mixed']: only crossbar has a choice, not torch, lava"],
    ),
    (
        ["scratch", "--backend", "lava", "--precision", "delta"],
        ["--precision delta does not learn from scratch", "lava: float, fixed"],
    ),
    (
        ["scratch", "--backend", "torch", "lava", "--precision", "float", "delta"],
        ["--precision delta does not learn from scratch", "torch: float, fixed; lava: float, fixed"],
    ),
    (
        ["scratch", "--backend", "torch", "crossbar", "--beta", "1"],
        ["--beta 1: the network that learns on dies has a squared-error output", "use a beta below 1", "one_sided"],
    ),
    (
        ["scratch", "--backend", "torch", "crossbar", "--update", "mixed"],
        ["pcm-nandakumar-2019 cannot be written pulse by pulse", "li-ecram-2018"],
    ),
    (
        ["repair", "--update", "two-arrays"],
        ["pcm-nandakumar-2019 cannot be written pulse by pulse", "reram-hfo2-gong-2022"],
    ),
    (["beta", "--update", "mixed"], ["--update ['mixed']", "writes nothing"]),
    *(
        (
            [study, "--backend", "crossbar", "--neurons", "analog"],
            [f"the study {study} with --neurons analog: they cannot be nudged, it takes digital"],
        )
        for study in ("repair", "scratch", "beta")
    ),
    (
        ["repair", "--weight-bits", "4"],
        ["weight_bits is 4: weights cut into slices cannot learn in place; use None"],
    ),
    (["repair", "--epochs", "0"], ["--epochs is 0, must be at least 1"]),
    (["repair", "--learning-batch", "0"], ["--learning-batch is 0"]),
    (
        ["repair", "--learning-rates", "0.1", "-0.1", "0.1"],
        ["--learning-rates [0.1, -0.1, 0.1] must be finite numbers from 0"],
    ),
]


@pytest.mark.parametrize(("options", "says"), BAD, ids=lambda value: " ".join(value[-2:]) if value else "")
def test_bad_options_are_refused_with_the_choices(
    tmp_path: Path,
    options: list[str],
    says: list[str],
) -> None:
    said = refused(bench_learn, *options, "--output", str(tmp_path / "run"))
    for words in says:
        assert words in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (REPAIR, "--learning-rates [0.1] are 1 values, model digits has 3: one per link and readout"),
        (
            ["scratch", "--backend", "crossbar", "torch", "--device-preset", "li-ecram-2018", *SHORT],
            "--learning-rates [0.1] are 1 values, the network of dies has 2: one per link and readout",
        ),
        (
            ["scratch", "--backend", "torch", *SHORT],
            "--learning-rates [0.1] are 1 values, the recipe's network has 3: one per link and readout",
        ),
    ],
)
def test_rates_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path,
    options: list[str],
    says: str,
) -> None:
    said = stopped(bench_learn, *options, "--learning-rates", "0.1", "--output", tmp_path / "run")
    assert says in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "beta"),
    [(["repair", "--beta", "1"], -1), (["beta"], -1), (["beta", "--beta", "2"], -2)],
    ids=["repair", "swept", "given"],
)
def test_a_readout_that_cannot_be_nudged_so_far_is_refused_before_anything_is_written(
    tmp_path: Path,
    options: list[str],
    beta: int,
) -> None:
    squared = tmp_path / "squared.safetensors"
    save_network(_fresh(0), squared)
    arguments = [*options, "--model", squared, "--data", "digits"]
    said = stopped(bench_learn, *arguments, "--output", tmp_path / "run")
    assert f"a nudge of beta {beta} cannot be applied: the squared-error output has no minimum at beta <= -1" in said
    assert "use a smaller beta, or one_sided" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("device", "rates", "says", "learnt"),
    [
        ("endurance = 1.0", "0.1", " writes, worn stands 1: stopped", True),
        ("", "1e6", "an update of link1 would change a weight by", False),
    ],
    ids=["worn", "overdriven"],
)
def test_a_run_that_has_to_stop_says_why_and_keeps_what_was_learnt(
    tmp_path: Path,
    device: str,
    rates: str,
    says: str,
    learnt: bool,
) -> None:
    """As a user meets it: a row with the curve so far and the reason, a line in the report, and the weights."""
    own = tmp_path / "worn.toml"
    own.write_text(f'base = "li-ecram-2018"\nname = "worn"\n{device}\n')
    options = ["scratch", "--backend", "crossbar", "--device-preset", str(own), "--update", "mixed", *SHORT]
    options += ["--learning-rates", rates, rates, "--output", str(tmp_path / "run")]
    rows = call(bench_learn, *options)["rows"]
    for row in rows:
        curve = row["curve"]
        assert says in curve["stopped"]
        assert len(curve["accuracy"]) == 2
        assert curve["train_accuracy"] == []  # no epoch was whole
        assert len(curve["written"]) == learnt
        assert (curve["writes_per_device"]["max"] >= 1) == learnt
        network = load_network(tmp_path / "run" / row["learnt"])
        start = _fresh(row["seed"] + row["die"] - 1)
        assert (_furthest(network, start) > 1e-3) or not learnt
    assert f"- Stopped: {rows[0]['curve']['stopped']}" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize("seed", range(3))
def test_no_output_of_the_network_of_dies_falls_silent_for_good(seed: int) -> None:
    """At beta 0.5 three of the ten outputs of the last seed do, and no nudge wakes them again."""
    data = load_data("digits")
    network = _fresh(seed)
    schedule = replace(schedule_of(LearnOptions("scratch"), SCRATCH["dies"], quick=False), epochs=3)
    machine = to_digital(network, steps=40)
    for _ in train_on_machine(
        machine, network, data.train.floats().numpy(), data.train.labels.numpy(), schedule, seed=seed
    ):
        pass
    assert (machine.settle(data.validation.floats().numpy()).states[-1].max(axis=0) > 0.1).all()


def test_what_was_learnt_can_be_used(tmp_path: Path) -> None:
    """Floats as a checkpoint, integers as a program: both give the accuracy that the row reports."""
    options = ["scratch", "--backend", "torch", *SHORT, "--output", str(tmp_path / "run")]
    rows = call(bench_learn, *options)["rows"]
    test = load_data("digits").test.first(8)
    for row in rows:
        file = tmp_path / "run" / row["learnt"]
        source = load_network(file) if row["precision"] == "float" else Program.load(file)
        settled = to_digital(source, steps=4).settle(test.floats().numpy())
        right = float((settled.logits.argmax(axis=1) == test.labels.numpy()).mean())
        assert right == row["curve"]["accuracy"][-1]


@pytest.mark.parametrize(("command", "options"), [(bench_run, ["--list"]), (bench_learn, ["repair", "--list"])])
def test_list_names_what_can_be_learnt_and_how(command: ModuleType, options: list[str]) -> None:
    document = call(command, *options)
    assert document["studies"] == ["repair", "scratch", "beta"]
    assert document["updates"] == ["rewrite", "pulses", "mixed", "two-arrays"]
    assert document["estimators"] == ["one_sided", "centered", "n_point"]


def _material() -> Material:
    """The digits."""
    data = load_data("digits")
    return Material(Labelled.of(data.train), Labelled.of(data.test), data.classes)


def _fresh(seed: int) -> EPNetwork:
    """What a die learns from scratch with."""
    return NETWORKS["die"](recipe_for("digits"), _material(), seed)


def _furthest(one: EPNetwork, other: EPNetwork) -> float:
    """Largest difference of any number."""
    pairs = zip(one.named_parameters().values(), other.named_parameters().values(), strict=True)
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs)


def _tiny() -> tuple[EPNetwork, Labelled]:
    network = build_network((1, 4, 4), (Dense(6), Dense(3)), None, torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    return network, Labelled(rng.random((12, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, 12))


def _course(epochs: int) -> LearningSchedule:
    phases = UpdatePhases.centered(0.5, free_steps=6, nudged_steps=3)
    return LearningSchedule(phases, (0.1, 0.1), epochs, batch_size=4)


def test_the_curve_of_a_machine_that_wears_out_says_so_and_keeps_what_was_learnt(tmp_path: Path) -> None:
    network, data = _tiny()
    device = replace(preset("ideal"), endurance=4.0)
    design = Design(input_bits=None, adc_bits=None)
    machine = to_crossbar(network, Fabrication(device, design, headroom=3.0), steps=6, update=Rewriting(0.0))
    refreshed: list[int] = []
    curve = learning_curve(
        machine,
        network,
        Training(Material(data, data, 3), _course(3), seed=0),
        tmp_path / "learnt.safetensors",
        refresh=lambda: refreshed.append(int(machine.writes().max())),
        effort=effort,
    )
    kept, held = load_network(tmp_path / "learnt.safetensors"), network_with(network, machine.read_weights())
    assert _furthest(kept, held) == 0
    assert "stands 4: stopped" in curve["stopped"]
    # the first epoch is whole, 3 updates; the second ended after its first
    assert refreshed == [0, 3, 4]
    assert len(curve["accuracy"]) == 3
    assert len(curve["train_accuracy"]) == 1
    assert len(curve["written"]) == len(curve["energy_j"]) == 2
    # the programming of the die is no part of learning
    assert sum(events["devices"] for events in curve["written"]) == int(machine.writes().sum())
    assert curve["writes_per_device"]["max"] == 4
    assert curve["accuracy"][-1] == float((machine.settle(data.images).logits.argmax(axis=1) == data.labels).mean())


def test_the_curve_of_a_machine_without_devices_counts_no_writes(tmp_path: Path) -> None:
    class Learner:
        def __init__(self) -> None:
            self.passes = 0

        def settle(self, images: Any) -> Any:
            class Settled:
                logits = np.eye(3)[np.full(len(images), self.passes)]

            return Settled

        def learn(self, images: Any, labels: Any, rule: Any) -> Learned:  # noqa: ARG002
            self.passes += 1
            return Learned(len(images), 3, None)  # type: ignore[arg-type]

        def read_weights(self) -> Any:
            return weights_of(circuit_of(network))

    network, data = _tiny()
    done: list[None] = []
    curve = learning_curve(
        Learner(),  # type: ignore[arg-type]
        network,
        Training(Material(data, data, 3), _course(2), seed=0),
        tmp_path / "learnt.safetensors",
        advance=lambda: done.append(None),
    )
    assert curve["accuracy"] == [float((data.labels == answer).mean()) for answer in range(3)]
    assert curve["train_accuracy"] == [0.25, 0.25]
    assert curve["agreement"] == [None, None]
    assert "written" not in curve
    assert len(done) == 2


def test_sums_over_dies_by_hand() -> None:
    def row(before: float, after: float, written: list[int]) -> LearningRow:
        events = [{"devices": devices} for devices in written]
        arms = {LEARNT: {"accuracy": [before, 0.7, after], "written": events}, LEFT: {"accuracy": [0.8]}}
        return LearningRow("repair", "crossbar", "analog", 0, 8, float_accuracy=0.9, arms=arms)

    rows = [row(0.5, 0.9, [3, 4]), row(0.7, 0.8, [5, 6]), row(0.9, 0.85, [0, 1])]
    medians = summary(rows)
    assert list(medians) == [LEARNT, LEFT]
    assert medians[LEARNT]["before"] == [0.5, 0.7, 0.9]
    assert medians[LEARNT]["after"] == [0.9, 0.8, 0.85]
    # all of 0.4 and half of 0.2; the last die had lost nothing
    assert medians[LEARNT]["won_back"] == pytest.approx([1.0, 0.5])
    assert won_back(rows[2].arms[LEARNT], 0.9) is None
    assert won_back({"accuracy": [0.5, 0.4]}, 0.9) == pytest.approx(-0.25)
    mean, spread = mean_curve(rows, LEARNT)
    assert mean == pytest.approx([0.7, 0.7, 0.85])
    assert spread == pytest.approx([0.2, 0.0, 0.05])
    # dies that stopped early cut the mean short
    rows[0].arms[LEARNT]["accuracy"].pop()
    assert len(mean_curve(rows, LEARNT)[0]) == 2
