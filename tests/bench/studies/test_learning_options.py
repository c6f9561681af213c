"""Options of a study that cannot be used are refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.learning_studies import SHORT, fresh
from helpers.run_calls import refused, stopped

from bench import learn as bench_learn
from bench import options as run_options
from bench.studies import run as learning_run
from models.files.checkpoint import save_network

REPAIR = ["repair", *SHORT]


@pytest.fixture(autouse=True)
def _few_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two updates instead of eight, few to calibrate with: nobody here asks how well a die learns."""
    monkeypatch.setattr(run_options, "DIE_CALIBRATION_IMAGES", 8)
    monkeypatch.setattr(learning_run, "QUICK_TRAINING", 32)


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
    (["repair", "--phase-repeats", "0"], ["--phase-repeats is 0, must be 1 to 1,000"]),
    (["repair", "--free-steps", "0"], ["--free-steps is 0, must be 1 to 100,000"]),
    (
        ["scratch", "--backend", "torch", "lava", "--update", "mixed"],
        ["--update ['mixed']: only crossbar and resistive have a choice, not torch, lava"],
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
    (["repair", "--epochs", "0"], ["--epochs is 0, must be 1 to 100,000"]),
    (["repair", "--nudges", "4"], ["--nudges changes nothing", "--estimator n_point"]),
    (["beta", "--epochs", "2"], ["--epochs changes nothing", "beta only compares"]),
    (["beta", "--beta", "0.1", "0.1"], ["--beta", "once"]),
    (["repair", "--phase-repeats", "1000000000"], ["--phase-repeats is 1000000000, must be 1 to 1,000"]),
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
    save_network(fresh(0), squared)
    arguments = [*options, "--model", squared, "--data", "digits"]
    said = stopped(bench_learn, *arguments, "--output", tmp_path / "run")
    assert f"a nudge of beta {beta} cannot be applied: the squared-error output has no minimum at beta <= -1" in said
    assert "use a smaller beta, or one_sided" in said
    assert not (tmp_path / "run").exists()
