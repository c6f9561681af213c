"""The dial: feedback grows to what is asked for, along Hebb's direction, and a dial that cannot settle is stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import (
    KilledError,
    assert_same_bits,
    bars,
    conv_network,
    kill_after,
    random_images,
    tiny_recipe,
)

from models.ep.feedback import shares
from models.ep.network import EPNetwork
from models.ep.relaxation import relax
from models.recipes import Recipe
from models.train import dial as dial_module
from models.train.dial import Dial, UnsettledError, hebbian
from models.train.loop import check_settles, train
from models.train.state import EpochRecord


def dialled(epochs: int, feedback: tuple[float, ...] | None, **changes: object) -> Recipe:
    return tiny_recipe(
        epochs,
        optimizer="muon",
        bias_rate=1e-3,
        learning_rates=(0.02, 0.02, 0.1),
        weight_decay=(0.2, 0.3, 0.01),
        feedback=feedback,
        **changes,
    )


def test_the_direction_is_the_slope_of_what_the_upper_layer_says_to_the_lower() -> None:
    """d/dW <s_above, W * s_below> at the states as they are, by automatic differentiation."""
    network, images = conv_network(0), random_images(8)
    states = relax(network, images, steps=40).states
    share, directions = hebbian(network, images, states)
    part = len(images) // dial_module.PART
    assert list(directions) == ["link2.weight", "link3.weight"]
    for index, name in enumerate(directions, start=1):
        weight = network.links[index].weight.clone().requires_grad_()
        link = replace(network.links[index], weight=weight)
        product = (link.up(states[index - 1][:part])[0] * states[index][:part]).sum()
        (slope,) = torch.autograd.grad(product, weight)
        torch.testing.assert_close(directions[name], slope.float())
    few = tuple(state[:part] for state in states)
    torch.testing.assert_close(share, shares(network, images[:part], few).float())


def test_a_small_step_along_the_direction_raises_the_share() -> None:
    network, images = conv_network(4), random_images(8)
    states = relax(network, images, steps=200).states
    before = shares(network, images, states)
    for index, name in ((0, "link2.weight"), (1, "link3.weight")):
        direction = hebbian(network, images, states)[1][name].double()
        named = network.named_parameters()
        for sign in (1, -1):
            moved = network.with_parameters({**named, name: named[name] + sign * 0.01 * direction / direction.norm()})
            after = shares(moved, images, relax(moved, images, steps=200).states)
            assert sign * float(after[index] - before[index]) > 0


def test_kappa_gathers_what_is_missing_and_the_target_moves_over_the_first_third() -> None:
    dial = Dial((0.3,), "cpu")
    gradient = {"link1.weight": torch.ones(2, 2), "link2.weight": torch.tensor([[3.0, 4.0]])}
    direction = {"link2.weight": torch.tensor([[0.0, 2.0]])}
    turned = dial.turn(gradient, direction, torch.tensor([0.1]), progress=1 / 6)
    assert float(dial.kappa) == pytest.approx(0.1)  # halfway from 0.1 to 0.3, less 0.1
    torch.testing.assert_close(turned["link2.weight"], torch.tensor([[0.6, 0.8 - 0.1]]))
    assert torch.equal(turned["link1.weight"], gradient["link1.weight"])
    dial.turn(gradient, direction, torch.tensor([0.1]), progress=0.9)
    assert float(dial.kappa) == pytest.approx(0.9 * 0.1 + 0.2)
    for _ in range(100):
        dial.turn(gradient, direction, torch.tensor([0.0]), progress=0.9)
    assert float(dial.kappa) == 1.0


def share_of(network: EPNetwork) -> float:
    images = bars().test.floats()
    return float(shares(network, images, relax(network, images, steps=100).states)[0])


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
def test_training_ends_at_the_share_that_is_asked_for_and_still_learns(arithmetic: str) -> None:
    found = {}
    for target in (0.1, 0.4):
        trained = train(bars(), dialled(24, (target,), arithmetic=arithmetic), seed=0)
        assert trained.history[-1].validation_accuracy == 1.0
        found[target] = share_of(trained.network)
    assert found[0.1] == pytest.approx(0.1, abs=0.05)
    assert found[0.4] == pytest.approx(0.4, abs=0.1)


def test_a_run_with_dial_and_averages_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    recipe = dialled(4, (0.3,), averaged=0.9, flip=True, flip_alternates=True, normalise=True, whiten=True)
    whole = train(bars(), recipe, seed=1).network
    path = tmp_path / "state"
    with pytest.raises(KilledError):
        train(bars(), recipe, seed=1, state_path=path, report=kill_after(2))
    assert_same_bits(train(bars(), recipe, seed=1, state_path=path, resume=True).network, whole)


def test_a_dial_that_cannot_settle_is_stopped_by_name_and_the_last_good_state_kept() -> None:
    record = EpochRecord(3, 0.5, 0.5, 1.0, 0.1, radius=1.02)
    with pytest.raises(UnsettledError, match=r"epoch 3: .* radius of 1.02 at the dial feedback = \[0.3\]"):
        check_settles(record, dialled(4, (0.3,)))
    check_settles(replace(record, radius=0.99), dialled(4, (0.3,)))


def test_an_unsettled_epoch_leaves_the_state_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.train import loop

    path, recipe = tmp_path / "state", dialled(4, (0.3,))
    real = loop.record_of

    def grown(network: EPNetwork, watched: object, recipe: Recipe, epoch: int, accuracy: float) -> EpochRecord:
        record = real(network, watched, recipe, epoch, accuracy)  # type: ignore[arg-type]
        return replace(record, radius=1.5) if epoch == 3 else record

    monkeypatch.setattr(loop, "record_of", grown)
    with pytest.raises(UnsettledError, match="epoch 3"):
        train(bars(), recipe, seed=1, state_path=path)
    monkeypatch.undo()
    reports: list[int] = []
    resumed = train(
        bars(), recipe, seed=1, state_path=path, resume=True, report=lambda record: reports.append(record.epoch)
    )
    assert reports == [3, 4]
    assert_same_bits(resumed.network, train(bars(), recipe, seed=1).network)
