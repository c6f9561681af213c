"""A network with feedback cut and its readout learnt anew: the links stay, and the readout is the best for one pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe
from sklearn.linear_model import LogisticRegression

from models.data import load_data
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.relaxation import start_states
from models.recipes import recipe_for
from models.train.loop import train
from models.twin.refit import main, refit
from models.zoo import load_model


def test_only_the_readout_changes_and_it_reads_one_pass_as_well_as_a_regression() -> None:
    network, data = load_model("digits"), load_data("digits")
    recipe = replace(recipe_for("digits"), epochs=12, optimizer="adamw", learning_rates=(0.0, 0.0, 0.02), shift=0)
    fitted = refit(network, data, recipe, seed=0).network
    for name, tensor in network.named_parameters().items():
        assert torch.equal(fitted.named_parameters()[name], tensor) == (not name.startswith("readout"))
    seen = [start_states(network, part.floats(), "feed_forward")[-1].flatten(1) for part in (data.train, data.test)]
    regression = LogisticRegression(max_iter=2000).fit(seen[0].numpy(), data.train.labels.numpy())
    expected = regression.score(seen[1].numpy(), data.test.labels.numpy())
    # within 4 of 360 images
    assert evaluate_feed_forward(fitted, data.test).accuracy == pytest.approx(expected, abs=4 / 360)


def test_a_network_that_lives_on_feedback_is_cut_and_answers_again() -> None:
    recipe = tiny_recipe(12)
    network = train(bars(), recipe, seed=0).network
    spoilt = network.with_parameters({**network.named_parameters(), "readout.bias": torch.tensor([9.0, 0.0, 0.0])})
    assert evaluate_feed_forward(spoilt, bars().test).accuracy < 0.5
    assert evaluate_feed_forward(refit(spoilt, bars(), recipe, seed=0).network, bars().test).accuracy == 1.0


def test_the_command_writes_a_checkpoint_and_says_what_was_cut(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "cut.safetensors"
    assert main(["digits", "--epochs", "1", "--output", str(output)]) == 0
    manifest = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert manifest["cut"] == "digits"
    assert manifest == json.loads(output.with_suffix(".json").read_text())
    assert (
        manifest["test"]["accuracy"]
        == evaluate_feed_forward(load_model(str(output)), load_data("digits").test).accuracy
    )
    assert main(["digits", "--output", str(output)]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nothing"], "neither in the zoo"),
        (["digits", "--seed", "-1"], "--seed is -1"),
        (["digits", "--output", "there.txt"], "--output is 'there.txt'"),
        (["digits", "--recipe", "nothing"], "recipe 'nothing'"),
        (["digits", "--epochs", "0"], "epochs is 0"),
    ],
)
def test_bad_options_are_named(options: list[str], words: str, capsys: pytest.CaptureFixture) -> None:
    assert main(options) == 2
    assert words in capsys.readouterr().err
