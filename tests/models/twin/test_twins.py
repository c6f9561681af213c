"""Feed-forward twins: their gradient, what they learn, and that they are plain networks in the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import KilledError, assert_same_bits, bars, kill_after, tiny_recipe
from torch import nn

from models.ep.feed_forward import evaluate_feed_forward
from models.ep.network import Conv, Dense, Span, build_network
from models.ep.relaxation import start_states
from models.files.checkpoint import CheckpointError
from models.train.loop import DivergedError, generator_of, train
from models.train.normalisation import normalisation_of
from models.twin.controls import Controls
from models.twin.loop import train_twin

POOLED = (Conv(4, gain=0.4), Conv(6, pooling="max", pool_size=2, gain=0.4))

SKIPPING = {
    "layers": (Conv(4), Conv(4), Conv(4), Conv(4, pooling="average", pool_size=2)),
    "skips": (Span(1, 4, stride=2),),
    "learning_rates": (0.1,) * 5,
    "weight_decay": (0.1,) * 5,
}


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    "changes",
    [{}, {"layers": POOLED, "normalise": True, "learning_rates": (0.03, 0.03, 0.05)}, SKIPPING],
    ids=["plain", "max", "skip"],
)
def test_it_learns_an_easy_set(batch_norm: bool, changes: dict) -> None:
    data, recipe = bars(), tiny_recipe(15, **changes)
    trained = train_twin(data, recipe, controls=Controls(batch_norm=batch_norm), seed=0)
    assert evaluate_feed_forward(trained.network, data.test).accuracy == 1.0
    assert [record.epoch for record in trained.history] == list(range(1, 16))
    last, score = trained.history[-1], evaluate_feed_forward(trained.network, data.validation)
    assert (last.validation_accuracy, last.validation_cost) == (score.accuracy, score.cost)
    assert last.residual_p95 is None
    assert last.train_accuracy > trained.history[0].train_accuracy
    assert trained.wall_s > 0
    assert ("skip1.weight" in trained.network.named_parameters()) == (changes is SKIPPING)
    assert not any(tensor.requires_grad for tensor in trained.network.named_parameters().values())


@pytest.mark.parametrize("batch_norm", [False, True])
def test_two_epochs_are_those_of_a_torch_model(batch_norm: bool) -> None:
    """nn.Module on normalised pixels, loss.backward() and SGD give the same scores: black borders, no padding."""
    rates, decays = (0.02, 0.05, 0.1), (0.03, 0.02, 0.01)
    settings = {"learning_rates": rates, "weight_decay": decays, "momentum": 0.8}
    data, recipe = bars(), tiny_recipe(2, layers=POOLED, shift=0, normalise=True, **settings)
    trained = train_twin(data, recipe, controls=Controls(batch_norm=batch_norm), seed=2)

    first = build_network(data.train.shape, recipe.layers, data.classes, generator_of(2, epoch=0))
    assert first.readout is not None
    lower, upper, readout = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3, padding=1), nn.Linear(54, 3)
    for module, link in zip((lower, upper, readout), (*first.links, first.readout), strict=True):
        module.load_state_dict({"weight": link.weight, "bias": link.bias})
    norms = [nn.BatchNorm2d(4), nn.BatchNorm2d(6)] if batch_norm else [nn.Identity(), nn.Identity()]
    model = nn.Sequential(lower, norms[0], nn.Hardtanh(0, 1), upper, norms[1], nn.MaxPool2d(2), nn.Hardtanh(0, 1),
                          nn.Flatten(), readout)  # fmt: skip
    colour = normalisation_of(data.train)

    def scores(images: torch.Tensor) -> torch.Tensor:
        return model((nn.functional.pad(images, [1] * 4) - colour.mean) / colour.size)

    if batch_norm:  # a norm takes the bias out again: its slope is a rounding error
        lower.bias, upper.bias = None, None
    groups = [
        {"params": list(module.parameters()), "lr": rate, "weight_decay": decay}
        for module, rate, decay in zip((lower, upper, readout), rates, decays, strict=True)
    ]
    groups += [{"params": list(norm.parameters()), "lr": rate} for norm, rate in zip(norms, rates[:2], strict=True)]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.SGD(groups, momentum=0.8)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)
    for epoch in (1, 2):
        order = torch.randperm(len(data.train), generator=generator_of(2, epoch))
        for indices in order.split(recipe.batch_size):
            images, labels = data.train.batch(indices)
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores(images), labels).backward()
            optimizer.step()
        schedule.step()
    images, _ = data.test.batch(torch.arange(len(data.test)))
    model.eval()
    last = start_states(trained.network, images, "feed_forward")[-1]
    with torch.no_grad():
        torch.testing.assert_close(trained.network.logits(last), scores(images), rtol=0, atol=1e-4)


def test_a_twin_of_a_recipe_starts_where_equilibrium_propagation_does() -> None:
    recipe = tiny_recipe(1, learning_rates=(1e-12,) * 3)
    barely = train_twin(bars(), recipe, seed=4).network
    first = build_network((1, 6, 6), recipe.layers, 3, generator_of(4, epoch=0))
    for name, tensor in first.named_parameters().items():
        torch.testing.assert_close(barely.named_parameters()[name], tensor, rtol=0, atol=1e-9)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_equal_seeds_give_equal_bits_whatever_the_global_generators_say(batch_norm: bool) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        recipe = tiny_recipe(2, flip=True)
        return train_twin(
            bars(), recipe, controls=Controls(batch_norm=batch_norm), seed=seed
        ).network.named_parameters()

    first = weights(3)
    torch.manual_seed(12345)
    again, other = weights(3), weights(4)
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["link1.weight"], other["link1.weight"])


def test_it_looks_at_no_more_validation_images_than_the_recipe_says() -> None:
    data = bars()
    trained = train_twin(data, tiny_recipe(1, watched=5), seed=0)
    score = evaluate_feed_forward(trained.network, data.validation.first(5))
    assert trained.history[0].validation_cost == score.cost


def test_a_run_that_saturates_stops_with_layer_and_step() -> None:
    with pytest.raises(DivergedError, match=r"epoch \d+, step \d+: all states of layer \d are saturated"):
        train_twin(bars(), tiny_recipe(3, learning_rates=(1e4,) * 3), seed=0)


def test_a_single_image_is_too_few_to_normalise_a_flat_layer_over() -> None:
    flat = tiny_recipe(1, layers=(Conv(4), Dense(6)), batch_size=47)
    with pytest.raises(ValueError, match=r"batches of 47 leave a single one of 48 images.*flat layer 2"):
        train_twin(bars(), flat, controls=Controls(batch_norm=True), seed=0)
    train_twin(bars(), flat, seed=0)
    train_twin(bars(), replace(flat, batch_size=46), controls=Controls(batch_norm=True), seed=0)
    train_twin(bars(), tiny_recipe(1, batch_size=47), controls=Controls(batch_norm=True), seed=0)


def test_it_learns_by_the_updates_of_the_recipe() -> None:
    """One batch: Muon moves links by steps of known spectral norm, AdamW all else by its rate, whatever the slope."""
    settings = {"optimizer": "muon", "learning_rates": (0.02, 0.03, 0.1), "bias_rate": 1e-3}
    recipe = tiny_recipe(1, batch_size=48, shift=0, weight_decay=(0.0,) * 3, **settings)
    first = build_network((1, 6, 6), recipe.layers, 3, generator_of(1, epoch=0)).named_parameters()
    last = train_twin(bars(), recipe, seed=1).network.named_parameters()
    for name, rate in (("link1.weight", 0.02), ("link2.weight", 0.03)):
        step = (last[name] - first[name]).flatten(1)
        longer = max(1.0, step.shape[0] / step.shape[1]) ** 0.5
        assert torch.linalg.matrix_norm(step, 2) == pytest.approx(rate * longer, rel=0.3)
    for name, rate in (("link1.bias", 1e-3), ("link2.bias", 1e-3), ("readout.weight", 0.1), ("readout.bias", 0.1)):
        assert (last[name] - first[name]).abs().max() == pytest.approx(rate, rel=1e-2)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "muon", "bias_rate": 1e-2}], ids=["sgd", "muon"])
def test_a_run_that_was_killed_goes_on_bit_for_bit(tmp_path: Path, batch_norm: bool, changes: dict) -> None:
    recipe, state = tiny_recipe(3, **changes), tmp_path / "net.training"
    whole = train_twin(bars(), recipe, controls=Controls(batch_norm=batch_norm), seed=1)
    with pytest.raises(KilledError):
        train_twin(
            bars(), recipe, controls=Controls(batch_norm=batch_norm), seed=1, state_path=state, report=kill_after(2)
        )
    rest = train_twin(bars(), recipe, controls=Controls(batch_norm=batch_norm), seed=1, state_path=state, resume=True)
    assert_same_bits(whole.network, rest.network)
    assert rest.history == whole.history


def test_a_state_of_another_way_to_train_is_refused_by_name(tmp_path: Path) -> None:
    state = tmp_path / "net.training"
    with pytest.raises(ValueError, match="nothing to resume from"):
        train_twin(bars(), tiny_recipe(3), seed=1, resume=True)
    with pytest.raises(KilledError):
        train_twin(bars(), tiny_recipe(3), seed=1, state_path=state, report=kill_after(1))
    with pytest.raises(CheckpointError, match="has batch_norm False, this one True"):
        train_twin(bars(), tiny_recipe(3), controls=Controls(batch_norm=True), seed=1, state_path=state, resume=True)
    with pytest.raises(CheckpointError, match="has batch_norm False, this one None"):
        train(bars(), tiny_recipe(3), seed=1, state_path=state, resume=True)
