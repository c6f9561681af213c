"""Repair and nudges of dies of resistors, as a user calls them."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from helpers.run_calls import call, refused, stopped

from bench import learn as bench_learn
from bench import run as bench_run
from bench.studies import run as learning_run
from models.files.checkpoint import load_network

QUICK = ["--backend", "resistive", "--model", "drn-digits", "--limit", "40", "--quick", "--resistive-dies", "2"]


@pytest.fixture(autouse=True)
def _few_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_run, "QUICK_TRAINING", 64)


def test_every_die_is_repaired_by_learning_and_by_writing(tmp_path: Path) -> None:
    """Dies with devices stuck, which writing cannot move: learning goes round them."""
    options = ["repair", *QUICK, "--resistor-stuck", "0.02", "--learning-batch", "4"]
    rows = call(bench_learn, *options, "--output", str(tmp_path / "run"))["rows"]
    assert [row["die"] for row in rows] == [1, 2]
    for row in rows:
        assert row["point"] == {
            "resistor": "pcm-nandakumar-2019", "resistor_noise": 1.0, "resistor_hours": 1.0, "offset_mv": 0.0,
        }  # fmt: skip
        assert row["damage"] == {"stuck_on": 0.02, "stuck_off": 0.02}
        assert set(row["arms"]) == {"EP on the die", "write-verify"}
        learnt, written = row["arms"].values()
        assert learnt["accuracy"][0] == written["accuracy"][0] < row["float_accuracy"]
        assert learnt["written"] == written["written"]
        assert learnt["writes_per_device"]["max"] >= 1
        assert learnt["energy_j"][0]["low"] * 25 == pytest.approx(learnt["energy_j"][0]["high"])
        load_network(tmp_path / "run" / row["learnt"])
    before, after = (fmean(row["arms"]["EP on the die"]["accuracy"][place] for row in rows) for place in (0, -1))
    assert after > before + 0.05
    report = (tmp_path / "run" / "report.md").read_text()
    assert "## pcm-nandakumar-2019, noise x 1, 1 h, rewrite" in report
    assert "2 % of the devices stuck on, 2 % stuck off" in report


def test_dies_learn_from_scratch_by_pulses_and_say_what_it_took(tmp_path: Path) -> None:
    options = ["scratch", *QUICK[:2], *QUICK[4:-1], "1", "--resistor", "li-ecram-2018", "--update", "pulses"]
    (row,) = call(bench_learn, *options, "--output", tmp_path / "run")["rows"]
    assert (row["update"], row["die"]) == ("pulses", 1)
    assert row["curve"]["writes_per_device"]["max"] >= 1
    assert row["curve"]["energy_j"][0]["nominal"] > 0
    assert "| li-ecram-2018, noise x 1, 0 h, pulses |" in (tmp_path / "run" / "report.md").read_text()


def cosines(row: dict[str, Any], remedy: str) -> list[float]:
    return [min(one["cosine"].values()) for one in row["cosines"] if one["remedy"] == remedy]


def test_small_nudges_are_exact_without_noise_and_drown_in_noise_that_changes_between_phases(tmp_path: Path) -> None:
    options = ["beta", *QUICK[:-1], "1", "--beta", "0.01", "1"]
    sweep = ["--resistor-noise", "0", "1", "--output", tmp_path / "run"]
    quiet, together = call(bench_learn, *options, *sweep)["rows"]
    assert min(cosines(quiet, "centered")) > 0.99
    assert cosines(quiet, "centered")[0] > 1 - 1e-6
    assert min(cosines(together, "centered")) > 0.4, "one draw for all phases of an update"
    (apart,) = call(bench_learn, *options, "--fresh-s", "0", "--output", tmp_path / "other")["rows"]
    assert max(cosines(apart, "one_sided")) < 0.3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["repair", "--resistor", "ideal"], ["--resistor ideal: nothing is wrong with these"]),
        (["repair", "--update", "mixed"], ["--update 'mixed' is unknown", "rewrite, pulses"]),
        (["repair", "--update", "pulses"], ["pcm-nandakumar-2019 cannot be written pulse by pulse"]),
        (["scratch", "--update", "pulses"], ["--update ['pulses']: ideal resistors take any value"]),
        (["repair", "--free-steps", "9"], ["--free-steps changes nothing", "resistors settle"]),
        (["repair", "--resistor-stuck", "0.6"], ["--resistor-stuck is 0.6, must be 0 to 0.5"]),
        (["repair", "--fresh-s", "-1"], ["--fresh-s is -1.0, must be 0 to"]),
        (["repair", "--backend", "resistive", "crossbar"], ["--backend crossbar alone or resistive alone"]),
    ],
)
def test_dies_that_cannot_be_repaired_so_are_refused(options: list[str], says: list[str]) -> None:
    backend = [] if "--backend" in options else ["--backend", "resistive"]
    said = refused(bench_learn, *options, *backend, "--model", "drn-digits")
    for words in says:
        assert words in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "digits"], "--model digits is no resistive network"),
        (["--model", "drn-digits", "--beta", "4"], "a nudge of beta -4 outweighs what holds an output, 2.96"),
    ],
)
def test_networks_and_nudges_that_do_not_fit_are_refused_before_work(
    options: list[str], says: str, tmp_path: Path
) -> None:
    said = stopped(bench_learn, "repair", "--backend", "resistive", *options, "--quick", "--output", tmp_path / "run")
    assert says in said
    assert not (tmp_path / "run").exists()


def test_how_long_noise_stays_is_no_matter_of_a_run() -> None:
    said = refused(bench_run, "--backend", "resistive", "--model", "drn-digits", "--fresh-s", "0")
    assert "--fresh-s changes nothing here: it needs" in said
