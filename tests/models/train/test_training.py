"""Training: it learns, it goes on where it stopped, and it says where it ran away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import KilledError, assert_same_bits, bars, kill_after, tiny_recipe

from models.ep.evaluation import evaluate
from models.ep.network import Conv
from models.files.checkpoint import CheckpointError
from models.train.loop import DivergedError, between, check_alive, check_gradient, generator_of, train


def test_it_learns_an_easy_set() -> None:
    data, recipe = bars(), tiny_recipe(epochs=15)
    trained = train(data, recipe, seed=0)
    assert evaluate(trained.network, data.test, steps=recipe.steps).accuracy == 1.0
    assert [record.epoch for record in trained.history] == list(range(1, 16))
    last = trained.history[-1]
    evaluation = evaluate(trained.network, data.validation, steps=recipe.steps)
    assert (last.validation_accuracy, last.validation_cost) == (evaluation.accuracy, evaluation.cost)
    assert last.residual_p95 == evaluation.residual_quantile(0.95)
    assert last.train_accuracy > trained.history[0].train_accuracy
    assert trained.wall_s > 0


def test_equal_seeds_give_equal_bits_whatever_the_global_generators_say() -> None:
    first = train(bars(), tiny_recipe(2), seed=3)
    torch.manual_seed(12345)
    assert_same_bits(first.network, train(bars(), tiny_recipe(2), seed=3).network)
    other = train(bars(), tiny_recipe(2), seed=4).network
    assert not torch.equal(first.network.links[0].weight, other.links[0].weight)


def test_generators_differ_by_seed_and_epoch() -> None:
    drawn = {(seed, epoch): float(torch.rand((), generator=generator_of(seed, epoch))) for seed in (0, 1, 2**63)
             for epoch in (0, 1, 2)}  # fmt: skip
    assert len(set(drawn.values())) == len(drawn)
    assert float(torch.rand((), generator=generator_of(1, 2))) == drawn[1, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"momentum": 0.0},
        {"optimizer": "adamw", "learning_rates": (1e-3,) * 3},
        {"optimizer": "muon", "bias_rate": 1e-2, "learning_rates": (1e-2,) * 3},
    ],
    ids=["momentum", "none", "adamw", "muon"],
)
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_run_that_was_killed_goes_on_bit_for_bit(tmp_path: Path, stop: int, changes: dict) -> None:
    # uses the generator in every batch; of single signs a small nudge has the smaller error
    phases = replace(tiny_recipe().phases, estimator="random_sign", beta=0.05)
    recipe = tiny_recipe(3, phases=phases, **changes)
    whole = train(bars(), recipe, seed=1)
    state = tmp_path / "net.training"
    with pytest.raises(KilledError):
        train(bars(), recipe, seed=1, state_path=state, report=kill_after(stop))
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.training"]
    seen: list[int] = []
    rest = train(bars(), recipe, seed=1, state_path=state, resume=True, report=lambda record: seen.append(record.epoch))
    assert seen == list(range(stop + 1, 4))
    assert_same_bits(whole.network, rest.network)
    assert rest.history == whole.history


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"momentum": 0.8}, r"has momentum 0.9, this one 0.8"),
        ({"epochs": 4}, r"has epochs 3, this one 4"),
        ({"learning_rates": (0.1, 0.05, 0.3)}, r"has learning_rates \[0.05, 0.05, 0.3\], this one \[0.1, 0.05, 0.3\]"),
        ({"phases": replace(tiny_recipe().phases, beta=0.3)}, r"has beta 0.2, this one 0.3"),
        ({"layers": (Conv(4, gain=0.4), Conv(7, pooling="average", pool_size=2, gain=0.4))}, "has layers .*, this one"),
    ],
)
def test_resuming_with_another_recipe_is_refused_by_name(tmp_path: Path, changes: dict, message: str) -> None:
    state = tmp_path / "net.training"
    with pytest.raises(KilledError):
        train(bars(), tiny_recipe(3), seed=1, state_path=state, report=kill_after(1))
    with pytest.raises(CheckpointError, match=message) as caught:
        train(bars(), tiny_recipe(**{"epochs": 3, **changes}), seed=1, state_path=state, resume=True)
    assert str(state) in str(caught.value)


def test_resuming_with_another_seed_or_other_data_is_refused_by_name(tmp_path: Path) -> None:
    state = tmp_path / "net.training"
    with pytest.raises(KilledError):
        train(bars(), tiny_recipe(3), seed=1, state_path=state, report=kill_after(1))
    with pytest.raises(CheckpointError, match="has seed 1, this one 2"):
        train(bars(), tiny_recipe(3), seed=2, state_path=state, resume=True)
    with pytest.raises(CheckpointError, match=r"has images .*48.*, this one .*24"):
        train(bars(train=24), tiny_recipe(3), seed=1, state_path=state, resume=True)


def test_a_state_that_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "net.training"
    with pytest.raises(CheckpointError, match="no such file"):
        train(bars(), tiny_recipe(3), seed=1, state_path=state, resume=True)
    with pytest.raises(ValueError, match="nothing to resume from"):
        train(bars(), tiny_recipe(3), seed=1, resume=True)
    with pytest.raises(KilledError):
        train(bars(), tiny_recipe(3), seed=1, state_path=state, report=kill_after(1))
    state.write_bytes(state.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match="truncated"):
        train(bars(), tiny_recipe(3), seed=1, state_path=state, resume=True)


def test_a_run_that_saturates_stops_with_layer_and_step() -> None:
    recipe = tiny_recipe(3, learning_rates=(1e4, 1e4, 1e4))
    with pytest.raises(DivergedError, match=r"epoch 1, step \d+: all states of layer \d are saturated"):
        train(bars(), recipe, seed=0)


def test_a_gradient_that_is_no_number_is_named() -> None:
    with pytest.raises(DivergedError, match=r"epoch 4, step 17: the gradient of link2.weight is not finite"):
        check_gradient({"link1.weight": torch.ones(2), "link2.weight": torch.tensor([1.0, torch.nan])}, 4, 17)


def test_one_state_between_the_bounds_is_enough() -> None:
    check_alive(between((torch.tensor([0.0, 0.5]),)), 1, 1)
    with pytest.raises(DivergedError, match="epoch 2, step 3: all states of layer 2 are saturated"):
        check_alive(between((torch.tensor([0.5]), torch.tensor([0.0, 1.0]))), 2, 3)
