"""Twins with one thing changed: noise and clipping of weights, noise on pixels, half precision, a teacher at rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import bars, conv_network, random_images, tiny_recipe

from models.data import Dataset
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.network import build_network
from models.ep.relaxation import relax
from models.files.checkpoint import save_network
from models.train.loop import generator_of, train
from models.train.weight_noise import limit_weights, programmed
from models.twin import loop
from models.twin.controls import Controls
from models.twin.forward import on_a_die, states_in
from models.twin.loop import train_twin
from models.twin.teacher import teacher_of

NOISE = (0.01, 0.08)


def test_a_die_holds_what_ep_learns_on_and_is_learnt_by_the_weights_aimed_at() -> None:
    network = conv_network(0).map_parameters(lambda tensor: tensor.float().requires_grad_())
    held = on_a_die(network, NOISE, torch.Generator().manual_seed(5))
    there = programmed(network.map_parameters(torch.Tensor.detach), NOISE, torch.Generator().manual_seed(5))
    images = random_images(4).float()

    def slopes(parameters: list[torch.Tensor], run: object) -> tuple[torch.Tensor, ...]:
        last = states_in(run, (), images, torch.float32, training=True)[-1]  # type: ignore[arg-type]
        return torch.autograd.grad(run.logits(last).square().sum(), parameters)  # type: ignore[attr-defined]

    leaves = there.map_parameters(lambda tensor: tensor.requires_grad_())
    ours = slopes(list(network.named_parameters().values()), held)
    for name, one, other in zip(network.named_parameters(), ours,
                                slopes(list(leaves.named_parameters().values()), leaves), strict=True):  # fmt: skip
        torch.testing.assert_close(held.named_parameters()[name], there.named_parameters()[name])
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)


def test_weights_are_clipped_after_every_update_and_only_if_smooth() -> None:
    recipe = tiny_recipe(1, batch_size=48, learning_rates=(1e-12,) * 3, weight_limit=1.0)
    first = build_network((1, 6, 6), recipe.layers, 3, generator_of(0, epoch=0)).named_parameters()
    plain = train_twin(bars(), recipe, seed=0).network.named_parameters()
    smooth = train_twin(bars(), recipe, controls=Controls(smooth=True), seed=0).network.named_parameters()
    clipped = {name: tensor.clone() for name, tensor in first.items()}
    limit_weights(clipped, 1.0)
    for name, tensor in first.items():
        torch.testing.assert_close(plain[name], tensor, rtol=0, atol=1e-9)
        torch.testing.assert_close(smooth[name], clipped[name], rtol=0, atol=1e-9)
    assert float((first["link1.weight"] - clipped["link1.weight"]).abs().max()) > 0.01


def test_noise_on_pixels_has_its_deviation_and_no_pixel_leaves_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[torch.Tensor] = []

    def seen(network, norms, images, dtype, *, training):  # type: ignore[no-untyped-def]
        shown.append(images)
        return states_in(network, norms, images, dtype, training=training)

    monkeypatch.setattr(loop, "states_in", seen)
    data, recipe = bars(480), tiny_recipe(1, shift=0, batch_size=480)
    train_twin(data, recipe, controls=Controls(gaussian=0.1), seed=0)
    order = torch.randperm(480, generator=generator_of(0, 1))
    noise = shown[0] - data.train.floats()[order]
    middle = (data.train.floats()[order] - 0.2).abs() < 0.05
    assert float(noise[middle].std()) == pytest.approx(0.1, rel=0.15)  # a few are clipped at 0
    assert float(shown[0].min()) == 0.0
    assert float(shown[0].max()) == 1.0


@pytest.mark.parametrize("batch_norm", [False, True])
def test_half_precision_rounds_states_and_learns_as_well(batch_norm: bool) -> None:
    network, images = conv_network(1).map_parameters(torch.Tensor.float), random_images(6).float()
    exact = states_in(network, (), images, torch.float32, training=True)
    half = states_in(network, (), images, torch.bfloat16, training=True)
    assert half[-1].dtype == torch.float32
    for one, other in zip(exact, half, strict=True):
        assert 0 < float((one - other.float()).abs().max()) < 0.02
    controls = Controls(batch_norm=batch_norm, arithmetic="bfloat16")
    trained = train_twin(bars(), tiny_recipe(15), controls=controls, seed=0).network
    assert evaluate_feed_forward(trained, bars().test).accuracy == 1.0
    assert all(tensor.dtype == torch.float32 for tensor in trained.named_parameters().values())


def test_a_student_learns_the_answers_of_the_network_at_rest_and_no_labels(tmp_path: Path) -> None:
    data, recipe, file = bars(), tiny_recipe(15), tmp_path / "teacher.safetensors"
    network = train(data, recipe, seed=0).network
    save_network(network, file)
    teacher = teacher_of(Controls(teacher=str(file)), data, recipe, "cpu")
    assert teacher is not None
    images = data.test.floats()
    at_rest = network.logits(relax(network, images, steps=200).states[-1]).softmax(dim=1)
    torch.testing.assert_close(teacher(images), at_rest, rtol=0, atol=3e-3)

    wrong = replace(data.train, labels=(data.train.labels + 1) % 3)
    misled = Dataset("bars", 3, wrong, data.validation, data.test, "made in memory")
    student = train_twin(misled, recipe, controls=Controls(teacher=str(file)), seed=1).network
    assert evaluate_feed_forward(student, data.test).accuracy == 1.0


def test_what_cannot_teach_is_refused() -> None:
    with pytest.raises(ValueError, match="model 'digits' reads images of"):
        train_twin(bars(), tiny_recipe(1), controls=Controls(teacher="digits"), seed=0)
    with pytest.raises(ValueError, match="neither in the zoo"):
        train_twin(bars(), tiny_recipe(1), controls=Controls(teacher="nobody"), seed=0)


def test_twins_are_called_by_what_they_were_asked_for() -> None:
    assert Controls().suffix == "-twin"
    assert Controls(batch_norm=True, smooth=True).suffix == "-twin-batch-norm-smooth"
    assert Controls(gaussian=0.1, adversary="l2-pgd").suffix == "-twin-gaussian-0.1-l2-pgd"
    assert Controls(teacher="digits").suffix == "-student"
