"""`python -m bench.robustness` on digits: its rows, its checks, going on after a kill, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.command_line import ConfigError
from bench.records.robust_row import RobustRow
from bench.robustness import __main__ as command
from bench.robustness import suites, trials
from bench.robustness.loading import load_victim
from bench.robustness.study import written
from bench.robustness.suites import GREY, SUITES, Trial
from bench.robustness.trials import balanced
from models.data import load_data
from models.ep.relaxation import start_states
from models.zoo import load_model

SMALL = replace(SUITES["quick"], sane=4, planted=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that takes seconds."""
    monkeypatch.setitem(suites.SUITES, "quick", SMALL)


def run(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    command.main(["--limit", "10", "--steps", "20", "--output", str(folder), "--json", *arguments])
    told: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return list(told["rows"])


@pytest.mark.slow
def test_a_study_of_a_network_and_of_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(
        tmp_path,
        capsys,
        "--backend",
        "crossbar",
        "lava",
        "--dies",
        "2",
        "--draws",
        "3",
        "--others",
        "digits-noise-aware",
    )
    assert {row["threat"] for row in rows} == {
        "natural",
        "random noise",
        "white box",
        "transfer",
        "digital twin",
        "hardware in the loop",
    }
    of_machines = [row for row in rows if row["backend"] != "torch" and row["attack"] != "none"]
    assert {row["backend"] for row in of_machines} == {"crossbar", "lava"}
    for row in of_machines:
        # attacked images that bring the float network down do most of it on machines too
        same = next(one for one in rows if (one["norm"], one["eps"]) == (row["norm"], row["eps"]))
        assert row["accuracy"] <= same["clean"] - 0.2
        asked = 20 if row["threat"] == "hardware in the loop" else 3
        assert row["draws"] == (asked if row["backend"] == "crossbar" else 1)


def test_the_standard_suite_shows_machines_every_radius_and_every_kind_of_attack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"auto_steps": 10, "queries": 20, "starts": 1, "every_gradient": False, "sane": 4, "planted": 1}
    monkeypatch.setitem(suites.SUITES, "standard", replace(SUITES["standard"], **few))
    rows = run(tmp_path, capsys, "--precision", "fixed", "--suite", "standard", "--looped", "0")
    shown = [row for row in rows if row["threat"] == "digital twin"]
    of_pgd = [(row["norm"], row["eps"]) for row in shown if row["attack"] == "PGD to the end"]
    assert of_pgd == [(ball.norm, ball.eps) for ball in GREY.balls()]
    for attack in ("Auto-PGD to the end", "Square to the end"):
        assert [(row["norm"], row["eps"]) for row in shown if row["attack"] == attack] == [("L2", 1.0), ("Linf", 0.1)]
    assert not [row for row in rows if row["threat"] == "hardware in the loop"]
    check_rows(rows)


def check_rows(rows: list[dict[str, Any]]) -> None:
    """What holds of every study of a network alone."""
    white = [row for row in rows if row["threat"] == "white box"]
    for row in rows:
        low, high = row["accuracy_ci95"]
        assert low - 1e-9 <= row["accuracy"] <= high + 1e-9
        assert row["outside"] in (None, 0)
    # what no attack brings down is what each of them leaves, at most
    for ball in {(row["norm"], row["eps"]) for row in white}:
        same = [row for row in white if (row["norm"], row["eps"]) == ball]
        worst = next(row for row in same if row["attack"] == "worst of all")
        assert worst["accuracy"] <= min(row["accuracy"] for row in same)
    for norm in ("L2", "Linf"):
        left = [row["accuracy"] for row in white if row["attack"] == "PGD" and row["norm"] == norm]
        assert left == sorted(left, reverse=True)
        assert left[0] > left[-1]


def test_a_killed_study_goes_on_with_the_batches_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", capsys)
    check_rows(whole)
    kept = json.loads((tmp_path / "whole/checks.json").read_text(encoding="utf-8"))["checks"]
    checks = {check["name"]: check["passed"] for check in kept}
    assert all(passed for name, passed in checks.items() if "planted" in name or "cosine" in name or "outside" in name)
    report = (tmp_path / "whole/report.md").read_text(encoding="utf-8")
    assert "worst of all" in report
    assert "    python -m bench.robustness --backend torch --limit 10 --steps 20 --output whole\n" in report
    assert {path.name for path in (tmp_path / "whole").glob("*.png")} == {"radii.png", "attacked.png"}
    attacked, kept = [], trials._attacked

    def killed(plan: trials.Plan, trial: Trial, *others: Any) -> Any:
        attacked.append(trial.name)
        if len(attacked) == 5:
            raise KeyboardInterrupt
        return kept(plan, trial, *others)

    monkeypatch.setattr(trials, "_attacked", killed)
    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "killed", capsys)
    assert ended.value.code == 130
    capsys.readouterr()
    resumed = run(tmp_path / "killed", capsys, "--resume")
    assert resumed == whole
    assert len(attacked) == len(set(attacked)) + 1  # none but the one that was killed twice
    damaged = next((tmp_path / "killed" / "trials").rglob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "killed", capsys, "--resume")
    assert ended.value.code != 0
    assert damaged.name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--suite", "huge"], "--suite 'huge' is unknown"),
        (["--steps", "1"], "images do not reach the top"),
        (["--limit", "5"], "--limit is 5"),
        (["--corrupted", "0"], "--corrupted is 0"),
        (["--corrupted", "50"], "--corrupted changes nothing here: digits has no 8-bit images"),
        (["--others", "nobody"], "--others 'nobody' is neither a file nor one of"),
        (["--others", "vit-cifar10-0"], "'vit-cifar10-0' reads images of (3, 32, 32), those of digits are (1, 8, 8)"),
        (["--model", "vit-cifar10-0", "--data", "digits"], "'vit-cifar10-0' reads images of (3, 32, 32)"),
        (["--model", "nobody"], "--model 'nobody' is neither"),
        (
            ["--backend", "crossbar", "--suite", "standard", "--draws", "3"],
            "--draws is 3: --suite standard asks a die 4 times at least",
        ),
        (["--looped", "5"], "--looped changes nothing here: no machine runs"),
        (["--backend", "lava", "--looped", "-1"], "--looped is -1"),
        (["--backend", "lava", "--chips", "2"], "--chips changes nothing here"),
        (["--model", "hw-cifar10-short-twin-0", "--cut", "--data", "digits"], "hw-cifar10-short-twin-0"),
    ],
)
def test_what_cannot_be_attacked_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--output", str(tmp_path / "run"), *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("suite", "images"), [("quick", 100), ("standard", 350), ("full", 350)])
def test_a_suite_takes_as_many_images_as_there_are(suite: str, images: int) -> None:
    """Of digits there are 360 test images, 35 of the rarest class."""
    options = command.read(["--suite", suite]).run
    dataset = load_data("digits")
    made = command.suite_of(options, dataset)
    assert made.images == images
    assert len(balanced(dataset.test.labels, made.images, dataset.classes)) == images
    assert made.corrupted <= len(dataset.test)


def test_images_are_balanced_over_classes_and_the_first_of_each() -> None:
    labels = torch.tensor([2, 0, 0, 1, 2, 2, 1, 0, 1])
    assert balanced(labels, 6, 3).tolist() == [0, 1, 2, 3, 4, 6]
    assert balanced(labels, 4, 3).tolist() == [0, 1, 2, 3]  # class 0 gets the one that is left over
    with pytest.raises(ValueError, match="4 of class 0, of which there are 3"):
        balanced(labels, 10, 3)


def test_shares_of_dies_are_written_to_the_nearest_tenth() -> None:
    means = np.random.default_rng(0).random((1, 2000))
    row = SimpleNamespace(answers=written(means))
    read = RobustRow.right.fget(row)
    assert float(np.abs(read - means).max()) <= 0.05 + 1e-9
    assert abs(float((read - means).mean())) < 4 * 0.1 / 12**0.5 / 2000**0.5  # uniform errors of a tenth


def test_answers_are_read_as_they_were_written() -> None:
    right = np.array([[1.0, 0.0, 1.0, 1.0]])
    assert written(right) == "X0XX"
    assert written(np.array([[1.0, 0.0], [0.0, 0.0]])) == "50"


def test_a_transformer_has_no_feedback_to_cut() -> None:
    images: Any = SimpleNamespace(name="colours", test=SimpleNamespace(shape=(3, 32, 32)), classes=10)
    with pytest.raises(ConfigError, match="vit-cifar10-0 runs once upwards, it has no feedback to cut"):
        load_victim("vit-cifar10-0", images, 20, "cpu", cut=True)


def test_a_network_that_is_cut_is_its_forward_pass() -> None:
    dataset = load_data("digits")
    loaded = load_victim("digits", dataset, 20, "cpu", cut=True)
    images, labels = dataset.test.batch(torch.arange(50))
    target = loaded.victim.target(images, labels)
    assert not loaded.victim.settles
    assert loaded.network is not None
    assert not loaded.network.feedback
    network = load_model("digits")
    truth = network.logits(start_states(network, images, "feed_forward")[-1]).argmax(dim=1) != labels
    assert torch.equal(target.wrong(images), truth)
