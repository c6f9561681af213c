"""`python -m bench.zoo` as a user calls it: its figures against other ways to get them, resume, bad options."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.run_calls import call, refused, stopped
from scipy.stats import binomtest

from bench.records.rows_file import read_rows
from bench.records.zoo_row import ZooRow
from bench.zoo import __main__ as zoo
from bench.zoo import figures
from bench.zoo.cards import CALIBRATION_IMAGES, FEEDBACK_IMAGES
from bench.zoo.figures import draw_feedback, draw_steps, draw_training
from bench.zoo.published import PUBLISHED
from bench.zoo.report import HEADING, enough, table_lines
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from mapping.machines import to_crossbar, to_digital
from mapping.quantization import quantize
from models.data import data_sha256, load_data
from models.ep.contraction import spectral_norm
from models.ep.evaluation import evaluate
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.feedback import measure_feedback
from models.ep.network import Conv, build_network
from models.files.checkpoint import load_network, manifest_path, save_network
from models.zoo import FOLDER, load_model, zoo_names

LIMIT = 40
DIGITS = json.loads((FOLDER / "digits.json").read_text())


@pytest.fixture
def drawn(tmp_path):
    """(name, layers, seed, steps in its manifest) to a checkpoint with a manifest."""

    def draw(name: str, layers: tuple[Conv, ...], seed: int = 0, steps: int = 9) -> Path:
        file = tmp_path / f"{name}.safetensors"
        save_network(build_network((1, 8, 8), layers, 10, torch.Generator().manual_seed(seed)), file)
        manifest = {**DIGITS, "sha256": None, "hyperparameters": {**DIGITS["hyperparameters"], "steps": steps}}
        manifest_path(file).write_text(json.dumps(manifest))
        return file

    return draw


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures take longer than the networks of these tests."""
    for name in ("draw_steps", "draw_training"):
        monkeypatch.setattr(zoo, name, lambda *_: None)


def read_cards(folder: Path) -> list[ZooRow]:
    return [ZooRow.from_json(row) for row in read_rows(folder / "rows.jsonl")]


def test_accuracy_work_and_room_are_those_found_another_way(tmp_path):
    document = call(zoo, "--models", "digits", "--limit", LIMIT, "--steps", 12, "--output", tmp_path / "zoo")
    reference, fixed = read_rows(tmp_path / "zoo" / "rows.jsonl")
    assert [row["model"] for row in document["rows"]] == ["digits", "digits"]
    network, data = load_model("digits"), load_data("digits")
    test = data.test.first(LIMIT)
    for steps in (1, 2, 5, 12):
        evaluation = evaluate(network, test, steps=steps)
        assert reference["by_step"]["accuracy"][steps - 1] == evaluation.accuracy
        interval = binomtest(evaluation.correct, LIMIT).proportion_ci(0.95, method="wilson")
        assert reference["by_step"]["accuracy_ci95"][steps - 1] == pytest.approx((interval.low, interval.high))
    assert reference["residual"]["median"] == pytest.approx(evaluation.residual_quantile(0.5), abs=1e-6)
    assert reference["residual"]["p95"] == pytest.approx(evaluation.residual_quantile(0.95), abs=1e-6)

    calibration = data.train.first(CALIBRATION_IMAGES).floats()
    program = quantize(network, calibration, steps=12)
    for steps in (1, 3, 12):
        whole = to_digital(network, steps=steps).settle(test.floats().numpy()).ledger.messages
        codes = to_digital(program, steps=steps).settle(test.floats().numpy())
        for coding in ("dense", "zero_skip"):
            assert reference["by_step"][f"synops_{coding}"][steps - 1] == pytest.approx(whole.synops(coding) / LIMIT)
        for coding in ("dense", "zero_skip", "delta"):
            counted = codes.ledger.messages.synops(coding) / LIMIT
            assert fixed["by_step"][f"synops_{coding}"][steps - 1] == pytest.approx(counted)
        right = (codes.logits.argmax(axis=1) == test.labels.numpy()).mean()
        assert fixed["by_step"]["accuracy"][steps - 1] == right
    assert "synops_delta" not in reference["by_step"], "floats never stop changing in their last bits"

    first = test.first(min(LIMIT, FEEDBACK_IMAGES))
    measured = measure_feedback(network, first, steps=12)
    for row in document["rows"]:
        assert row["feedback"]["share"] == list(measured.share)
        assert row["feedback"]["accuracy_cut"] == evaluate_feed_forward(network, first).accuracy
        assert row["feedback"]["radius"] == measured.radius

    size = reference["network"]
    die = to_crossbar(network, Fabrication(preset("ideal"), Design()), steps=1)
    assert tuple(size["tiles"]["links"]) == tuple(len(link.matrix.tiles) for link in die.links)
    assert (size["loihi_cores"]["input"], *size["loihi_cores"]["layers"]) == whole.cores
    assert size["parameters"] == DIGITS["parameters"]
    assert size["units"] == sum(whole.units[1:])
    assert size["contraction"] == pytest.approx(spectral_norm(network.links[1])), "two layers: one link is the loop"
    # layer 1: 5 x 5 weights to one colour below and 3 x 3 to each of 32 channels above; layer 2: 3 x 3 weights to each
    # of 32 channels below, at 4 places of the window
    assert size["synapses_per_unit"] == max(25 + 9 * 32, 4 * 9 * 32)


def test_pictures_show_what_rows_and_manifests_hold(drawn, tmp_path, monkeypatch):
    file = drawn("net", (Conv(4, stride=2), Conv(5)))
    call(zoo, "--models", "digits", file, "--limit", LIMIT, "--steps", 7, "--output", tmp_path / "zoo")
    networks: dict[str, list[ZooRow]] = {}
    for row in read_cards(tmp_path / "zoo"):
        networks.setdefault(row.row.model, []).append(row)
    reference, fixed = networks["digits"]
    networks["digits"][0] = replace(reference, row=replace(reference.row, data="cifar10"))
    kept = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, _: kept.append(figure))
    draw_steps(networks, tmp_path / "steps.png")
    draw_training({"digits": DIGITS}, tmp_path / "training.png")
    first, _, work, _ = kept[0].axes
    assert [line.get_label() for line in first.lines] == [
        "float",
        "int8",
        "feedback cut, float",
        "Mansingh et al. 2024",
    ]
    assert set(first.lines[2].get_ydata()) == {100 * reference.feedback["accuracy_cut"]}
    assert list(first.lines[0].get_ydata()) == [100 * share for share in reference.row.by_step["accuracy"]]
    assert dict(zip(*first.lines[3].get_data(), strict=True)) == PUBLISHED["cifar10"].percent
    assert [list(line.get_ydata()) for line in work.lines] == [
        fixed.row.by_step[f"synops_{coding}"] for coding in ("dense", "zero_skip", "delta")
    ]
    draw_feedback(networks, dict.fromkeys(networks, DIGITS), tmp_path / "feedback.png")
    points = {(*line.get_xdata(), *line.get_ydata()) for line in kept[2].axes[0].lines if line.get_marker() == "o"}
    seen = networks["digits"][0].feedback
    assert (max(seen["share"]), 100 * seen["accuracy"]) in points
    assert (max(seen["share"]), 100 * seen["accuracy_cut"]) in points
    accuracy, residual = kept[1].axes
    history = DIGITS["history"]
    assert list(accuracy.lines[1].get_ydata()) == [100 * record["validation_accuracy"] for record in history]
    assert list(residual.lines[0].get_ydata()) == [record["residual_p95"] for record in history]


def test_steps_come_from_the_manifest_and_maxima_run_in_float_alone(drawn, tmp_path):
    file = drawn("maxima", (Conv(4, pooling="max", pool_size=2), Conv(3)))
    (row,) = call(zoo, "--models", file, "--limit", 10, "--output", tmp_path / "zoo")["rows"]
    assert (row["precision"], row["step_limit"], row["images"]) == ("float", 9, 10)
    cells = dict(zip(HEADING, table_lines({"maxima": read_cards(tmp_path / "zoo")})[0], strict=True))
    assert cells["accuracy, int8 %"] == cells["changed"] == cells["energy on Loihi"] == "-"
    for name in ("report.md", "steps.png", "training.png", "config.json", "env.json"):
        assert (tmp_path / "zoo" / name).stat().st_size > 0


@pytest.mark.usefixtures("undrawn")
def test_a_killed_run_goes_on_networks_join_it_and_those_trained_again_are_measured_again(drawn, tmp_path, monkeypatch):
    one, two = (drawn(name, (Conv(3), Conv(4)), steps=3) for name in ("one", "two"))
    options = ["--limit", 10, "--data-dir", tmp_path, "--output", tmp_path / "zoo"]
    call(zoo, "--models", one, *options)
    rows = tmp_path / "zoo" / "rows.jsonl"
    whole = rows.read_text()
    first, second = whole.splitlines(keepends=True)
    rows.write_text(first + second[: len(second) // 2])  # killed while it wrote the second row
    made = []
    make_row = zoo.make_row
    monkeypatch.setattr(zoo, "make_row", lambda card, *rest: made.append(card) or make_row(card, *rest))

    def remade() -> list[tuple[str, str]]:
        names = [(Path(card.model).stem, card.row.precision) for card in made]
        made.clear()
        return names

    call(zoo, "--models", one, *options, "--resume")
    assert remade() == [("one", "delta")]
    rows_then = read_rows(rows)[1]["by_step"]
    assert rows_then == json.loads(second)["by_step"]
    document = call(zoo, "--models", two, *options, "--resume")
    assert remade() == [("two", "float"), ("two", "delta")]
    assert [Path(row["model"]).stem for row in document["rows"]] == ["one", "one", "two", "two"]
    drawn("one", (Conv(3), Conv(4)), seed=1, steps=3)
    document = call(zoo, "--models", one, two, *options, "--resume")
    assert remade() == [("one", "float"), ("one", "delta")]
    assert len(document["rows"]) == 4, "rows of weights that are no more are not reported"
    assert str(tmp_path) not in (tmp_path / "zoo" / "config.json").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--models", "no-such-net"], ["--models 'no-such-net'", *zoo_names()]),
        (["--models", "digits", "digits"], ["--models", "once"]),
        (["--data-dir", "no/such/folder"], ["--data-dir 'no/such/folder'"]),
        (["--limit", "0"], ["--limit is 0", "at least 1"]),
        (["--steps", "0"], ["--steps is 0"]),
        (["--batch-size", "-1"], ["--batch-size is -1"]),
        (["--device", "tpu"], ["--device is 'tpu'", "cpu"]),
        (["--resume", "--output", "no/such/run"], ["--resume", "holds no run"]),
    ],
)
def test_bad_options_exit_2_and_name_value_and_choices(options, words):
    said = refused(zoo, *options)
    for word in words:
        assert word in said


@pytest.mark.usefixtures("undrawn")
def test_a_run_does_not_go_on_under_other_options_nor_over_another(drawn, tmp_path):
    options = ["--models", drawn("net", (Conv(3),)), "--output", tmp_path / "zoo"]
    call(zoo, *options, "--limit", 5)
    assert "limit = 5, not 6" in refused(zoo, *options, "--limit", 6, "--resume")
    assert "already holds a run" in refused(zoo, *options, "--limit", 5)


def test_what_is_missing_is_named_before_a_folder_is_made(drawn, tmp_path):
    file = drawn("net", (Conv(3),))
    manifest = json.loads(manifest_path(file).read_text())
    manifest_path(file).write_text(json.dumps({**manifest, "data": "mnist"}))
    options = ["--models", file, "--data-dir", tmp_path, "--output", tmp_path / "zoo"]
    assert "train-images" in stopped(zoo, *options)
    manifest_path(file).unlink()
    assert str(manifest_path(file)) in stopped(zoo, *options)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.usefixtures("undrawn")
def test_data_of_ones_own_are_shown_and_must_be_those_that_were_learnt(drawn, tmp_path):
    file, mine = drawn("net", (Conv(3),), steps=3), tmp_path / "mine.npz"
    labels = np.arange(50) % 10
    np.savez(mine, images=np.random.default_rng(0).random((50, 8, 8)), labels=labels)
    rows = call(zoo, "--models", file, "--data", mine, "--output", tmp_path / "given")["rows"]
    test = load_data(mine).test
    assert [(row["data"], row["images"]) for row in rows] == [(str(mine), 10)] * 2
    assert rows[0]["accuracy"] == evaluate(load_network(file), test, steps=3).accuracy

    manifest = json.loads(manifest_path(file).read_text())
    learnt = {**manifest, "data": str(mine), "data_sha256": data_sha256(mine)}
    manifest_path(file).write_text(json.dumps(learnt))
    assert call(zoo, "--models", file, "--output", tmp_path / "learnt")["rows"][0]["accuracy"] == rows[0]["accuracy"]
    np.savez(mine, images=np.random.default_rng(1).random((50, 8, 8)), labels=labels)
    options = ["--models", file, "--output", tmp_path / "changed"]
    assert f"was trained on {learnt['data_sha256']}: give the data as --data" in stopped(zoo, *options)
    again = ["--models", file, "--data", mine, "--output", tmp_path / "given", "--resume"]
    assert "data_sha256" in refused(zoo, *again)
    assert "did you mean digits" in refused(zoo, "--data", "digit")
    assert "reads images of (1, 8, 8), those of mnist are (1, 28, 28)" in refused(
        zoo, "--data", "mnist", "--models", "digits"
    )


def test_enough_steps_are_those_after_which_accuracy_stays():
    assert enough([0.5, 0.896, 0.89, 0.9, 0.905, 0.9]) == 4
    assert enough([0.9]) == 1
    assert enough([0.1, 0.895, 0.9]) == 2
