"""The command `python -m models.twin`: exit codes and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.ep_examples import bars, tiny_recipe

from models.ep.feed_forward import evaluate_feed_forward
from models.files.checkpoint import load_network
from models.twin import command


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
        (["--data-dir", "/nowhere"], "--data-dir is '/nowhere', expected a directory"),
        (["--output", "net.pt"], "--output is 'net.pt', expected a name that ends in .safetensors"),
        (["--seed", "-1"], "--seed is -1"),
        (["--epochs", "0"], "epochs is 0, expected at least 1"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--learning-rates", "0.1"], "--learning-rates has 1 values, expected 3"),
        (["--weight-decay", "-1", "0", "0"], "--weight-decay is (-1.0, 0.0, 0.0)"),
        (["--device", "tpu"], "--device is 'tpu', choose from cpu"),
        (["--data", "imagnet"], "unknown data set 'imagnet': choose from digits, mnist, cifar10, cifar100"),
        (["--beta", "0.1"], "--beta"),
        (["--smooth"], "smooth takes the weight_noise and weight_limit of a recipe"),
        (["--gaussian", "-0.1"], "--gaussian is -0.1, expected a standard deviation of 0 to 1"),
        (["--resume"], "--resume has nothing to continue: there is no"),
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
def test_a_run_writes_a_plain_network_and_what_made_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "new" / "net.safetensors"
    assert exit_code("--batch-norm", "--output", str(output), "--seed", "5", "--epochs", "2") == 0
    printed = capsys.readouterr()
    assert not printed.err  # no terminal, no progress
    manifest = json.loads(printed.out.splitlines()[-1])
    assert manifest == json.loads(output.with_suffix(".json").read_text())
    assert sorted(entry.name for entry in output.parent.iterdir()) == ["net.json", "net.safetensors"]
    assert manifest["command"] == f"python -m models.twin --batch-norm --output {output} --seed 5 --epochs 2"
    assert (manifest["data"], manifest["seed"], manifest["device"]) == ("bars", 5, "cpu")
    assert manifest["evaluation"] == "one pass upwards, without feedback"
    settings = manifest["hyperparameters"]
    assert (settings["batch_norm"], settings["optimizer"], settings["learning_rates"]) == (
        True,
        "sgd",
        [0.05, 0.05, 0.3],
    )
    assert (settings["epochs"], settings["batch_size"], settings["shift"]) == (2, 8, 1)
    assert not settings.keys() & {"beta", "free_steps", "weight_noise"}
    assert settings["arithmetic"] == "float32"
    assert [record["residual_p95"] for record in manifest["history"]] == [None, None]
    network = load_network(output)
    assert manifest["parameters"] == sum(tensor.numel() for tensor in network.named_parameters().values())
    for split in ("validation", "test"):
        score = evaluate_feed_forward(network, getattr(bars(), split))
        said = {"accuracy": score.accuracy, "correct": score.correct, "count": score.count, "cost": score.cost}
        assert manifest[split] == said


@pytest.mark.usefixtures("small")
def test_twins_with_and_without_norms_lie_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code("bars", "--epochs", "1") == exit_code("bars", "--epochs", "1", "--batch-norm") == 0
    names = sorted(entry.name for entry in (tmp_path / "results").glob("*.safetensors"))
    assert names == ["bars-twin-batch-norm.safetensors", "bars-twin.safetensors"]


@pytest.mark.usefixtures("small")
def test_a_run_that_diverges_ends_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert exit_code("--output", str(tmp_path / "net.safetensors"), "--learning-rates", "1e4", "1e4", "1e4") == 1
    assert "are saturated at 0 or 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small")
def test_a_run_that_is_stopped_says_how_to_go_on_and_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output = tmp_path / "net.safetensors"
    train_twin = command.train_twin

    def stopped_after_an_epoch(*positional: object, **options: object) -> None:
        def report(_record: object) -> None:
            raise KeyboardInterrupt

        train_twin(*positional, **{**options, "report": report})

    with monkeypatch.context() as patch:
        patch.setattr(command, "train_twin", stopped_after_an_epoch)
        assert exit_code("--output", str(output)) == 130
    said = f"continue after the last whole epoch with python -m models.twin --output {output} --resume"
    assert said in capsys.readouterr().err
    assert exit_code("--output", str(output)) == 2
    assert "continue it with --resume, or delete it" in capsys.readouterr().err
    assert exit_code("--output", str(output), "--resume") == 0
    manifest = json.loads(output.with_suffix(".json").read_text())
    assert manifest["command"] == f"python -m models.twin --output {output}"
    assert [record["epoch"] for record in manifest["history"]] == [1, 2, 3]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["net.json", "net.safetensors"]
