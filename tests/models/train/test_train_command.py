"""The command `python -m models.train`: exit codes, what it writes, and how it goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe

from models.ep.evaluation import evaluate
from models.files.checkpoint import load_network
from models.files.provenance import Provenance
from models.train import command, state
from models.train.checks import note_of_programs
from models.train.state import EpochRecord


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recipe means the bars in memory and a recipe of 3 epochs."""
    monkeypatch.setattr(command, "check_data", lambda _name, _folder: None)
    monkeypatch.setattr(command, "load_data", lambda _name, _folder: bars())
    monkeypatch.setattr(command, "recipe_for", lambda _name: tiny_recipe(3))


def exit_code(*arguments: str) -> int:
    try:
        return command.main(arguments)
    except SystemExit as ended:  # tyro's way out
        return int(str(ended.code))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imagenet"], "recipe 'imagenet' is neither one of digits"),
        (["mine.toml"], "mine.toml: no such file"),
        (["--data-dir", "/nowhere"], "--data-dir is '/nowhere', expected a directory"),
        (["--output", "net.pt"], "--output is 'net.pt', expected a name that ends in .safetensors"),
        (["--seed", "-1"], "--seed is -1"),
        (["--epochs", "0"], "epochs is 0, expected at least 1"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--beta", "-0.1"], "beta is -0.1"),
        (["--free-steps", "0"], "--free-steps 0"),
        (["--momentum", "1"], "momentum is 1.0"),
        (["--learning-rates", "0.1"], "--learning-rates has 1 values, expected 3"),
        (["--weight-decay", "0.1", "0.1"], "--weight-decay has 2 values, expected 3"),
        (["--device", "tpu"], "--device is 'tpu', choose from cpu"),
        (["--data", "imagnet"], "unknown data set 'imagnet': choose from digits, mnist, cifar10, cifar100"),
        (["--data", "gone.npz"], "unknown data set 'gone.npz'"),
        (["--start", "fingers"], "model 'fingers' is neither in the zoo"),
        (["--start", "gone.safetensors"], "gone.safetensors: no such file"),
        (["--images", "0"], "--images is 0, must be at least 1"),
        (["--output", ""], "--output is '', must not be empty"),
        (["--resume"], "--resume has nothing to continue: there is no"),
        (["--estimator", "both"], "one_sided"),
        (["--epochs", "many"], "many"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_a_bad_option_ends_with_2_before_data_are_loaded(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "load_data", lambda *_: pytest.fail("data were loaded"))
    assert exit_code(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small")
def test_a_run_writes_checkpoint_and_manifest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "new" / "net.safetensors"
    assert exit_code("--output", str(output), "--seed", "5", "--epochs", "2", "--beta", "0.1") == 0
    printed = capsys.readouterr()
    assert not printed.err  # no terminal, no progress
    manifest = json.loads(printed.out.splitlines()[-1])
    assert manifest == json.loads(output.with_suffix(".json").read_text())
    assert sorted(entry.name for entry in output.parent.iterdir()) == ["net.json", "net.safetensors"]
    assert manifest["command"] == f"python -m models.train --output {output} --seed 5 --epochs 2 --beta 0.1"
    assert (manifest["data"], manifest["seed"], manifest["device"]) == ("bars", 5, "cpu")
    assert manifest["split"] == "made in memory"
    assert manifest["hyperparameters"]["beta"] == 0.1
    assert manifest["hyperparameters"]["epochs"] == len(manifest["history"]) == 2
    assert manifest["versions"]["torch"] == str(torch.__version__)
    network = load_network(output)
    assert manifest["parameters"] == sum(tensor.numel() for tensor in network.named_parameters().values())
    for split in ("validation", "test"):
        evaluation = evaluate(network, getattr(bars(), split), steps=tiny_recipe().steps)
        said = manifest[split]
        assert (said["accuracy"], said["correct"], said["count"]) == (
            evaluation.accuracy,
            evaluation.correct,
            evaluation.count,
        )
        assert said["residual"]["p95"] == evaluation.residual_quantile(0.95)


@pytest.mark.usefixtures("small")
def test_a_run_that_was_stopped_is_continued(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole, output = tmp_path / "whole.safetensors", tmp_path / "net.safetensors"
    assert exit_code("--output", str(whole)) == 0
    real = command.train

    def stopped(*arguments: object, **options: object) -> object:
        def report(record: EpochRecord) -> None:
            if record.epoch == 2:
                raise KeyboardInterrupt

        return real(*arguments, **{**options, "report": report})  # type: ignore[arg-type]

    monkeypatch.setattr(command, "train", stopped)
    assert exit_code("--output", str(output)) == 130
    assert "--resume" in capsys.readouterr().err
    monkeypatch.setattr(command, "train", real)
    assert not output.exists()
    assert exit_code("--output", str(output)) == 2
    assert "continue it with --resume, or delete it" in capsys.readouterr().err
    assert exit_code("--output", str(output), "--resume", "--seed", "1") == 2
    assert "has seed 0, this one 1" in capsys.readouterr().err
    assert exit_code("--output", str(output), "--resume") == 0
    assert output.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.training*"))


@pytest.mark.usefixtures("small")
def test_a_try_learns_from_some_of_the_images(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = str(tmp_path / "net.safetensors")
    assert exit_code("--output", output, "--images", "10", "--epochs", "1") == 0
    manifest = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert manifest["images"] == {"train": 10, "validation": 10, "test": 10}
    assert manifest["test"]["count"] == manifest["validation"]["count"] == 10
    other = str(tmp_path / "other.safetensors")
    assert exit_code("--output", other, "--images", "49") == 2
    assert "--images is 49, bars has 48 training images" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_a_run_that_diverges_ends_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rates = ("--learning-rates", "1e4", "1e4", "1e4")
    assert exit_code("--output", str(tmp_path / "net.safetensors"), *rates) == 1
    assert "are saturated at 0 or 1" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.safetensors"))


def test_missing_files_end_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = str(tmp_path / "net.safetensors")
    assert exit_code("mnist", "--data-dir", str(tmp_path), "--output", output) == 2
    assert "not found" in capsys.readouterr().err


def test_a_file_of_ones_own_is_learnt_and_told_from_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "recipe_for", lambda _name: tiny_recipe(2))
    files = [tmp_path / "mine.npz", tmp_path / "other" / "mine.npz"]
    files[1].parent.mkdir()
    for seed, file in enumerate(files):
        labels = np.arange(40) % 3
        images = np.random.default_rng(seed).random((40, 6, 6)) / 4
        images[np.arange(40), 1 + labels] = 1
        np.savez(file, images=images, labels=labels)
    output = str(tmp_path / "net.safetensors")
    monkeypatch.chdir(tmp_path)
    assert exit_code("--data", "mine.npz", "--output", output) == 0
    manifest = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert manifest["data"] == "mine.npz"
    assert manifest["data_sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert manifest["images"] == {"train": 28, "validation": 4, "test": 8}

    real = command.save_with_manifest
    monkeypatch.setattr(command, "save_with_manifest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    output = str(tmp_path / "again.safetensors")
    assert exit_code("--data", "mine.npz", "--output", output) == 130
    monkeypatch.setattr(command, "save_with_manifest", real)
    monkeypatch.chdir(files[1].parent)  # a file of the same name and size
    assert exit_code("--data", "mine.npz", "--output", output, "--resume") == 2
    assert "the run to resume has data_sha256" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert exit_code("--data", "mine.npz", "--output", output, "--resume") == 0
    np.savez(files[0], images=images * np.nan, labels=labels)
    assert exit_code("--data", "mine.npz", "--output", str(tmp_path / "third.safetensors")) == 2
    assert "mine.npz: images must lie in [0, 1]: image 0 holds nan" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("there", ["net.safetensors", "net.json"])
def test_finished_work_is_not_written_over(there: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / there).write_text("finished")
    assert exit_code("--output", str(tmp_path / "net.safetensors")) == 2
    assert f"{str(tmp_path / there)!r} is there already" in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(there, "finished")]


@pytest.mark.usefixtures("small")
def test_two_trainings_do_not_share_a_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = str(tmp_path / "net.safetensors")
    real, codes = command.train, list[int]()

    def meanwhile(*positional: object, **options: object) -> object:
        monkeypatch.setattr(command, "train", real)
        codes.append(exit_code("--output", output))
        return real(*positional, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "train", meanwhile)
    assert exit_code("--output", output) == 0
    assert codes == [2]
    assert "another training is at work there" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.json", "net.safetensors"]


@pytest.mark.usefixtures("small")
def test_a_training_says_which_programs_made_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = str(tmp_path / "net.safetensors")
    monkeypatch.setattr(command, "save_with_manifest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with monkeypatch.context() as patch:
        patch.setattr(state, "this_program", lambda: Provenance("0.0", "then", "aaa"))
        assert exit_code("--output", output, "--epochs", "2") == 130
    monkeypatch.undo()
    monkeypatch.setattr(command, "check_data", lambda _name, _folder: None)
    monkeypatch.setattr(command, "load_data", lambda _name, _folder: bars())
    monkeypatch.setattr(command, "recipe_for", lambda _name: tiny_recipe(2))
    assert exit_code("--output", output, "--resume") == 0
    programs = json.loads((tmp_path / "net.json").read_text())["programs"]
    assert programs == {"0.0 (commit then, source aaa)": [1, 2]}
    assert "the code was changed" not in capsys.readouterr().err
    records = [EpochRecord(1, 0.5, 0.5, 1.0, None, program="old"), EpochRecord(2, 0.5, 0.5, 1.0, None, program="new")]
    assert note_of_programs(records) == (
        "note: the code was changed before the training went on: epochs 1 to 1 by old; epochs 2 to 2 by new"
    )
