"""Deep resistive networks: sweeps, the gradient by local voltages, the equal of `models.ep`, files and the zoo."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.data import load_data
from models.ep.relaxation import relax
from models.files.checkpoint import CheckpointError
from models.resistive import training
from models.resistive.command import main
from models.resistive.equivalent import diagonal, equivalent, measured
from models.resistive.files import load_resistive, save_resistive
from models.resistive.gradient import centered_gradient
from models.resistive.network import DeepResistive, Nudge, build_resistive, descend, rectified, settle, signs
from models.resistive.recipe import ResistiveRecipe, resistive_recipe, resistive_recipe_names
from models.zoo import load_model, zoo_names
from models.zoo.resistive import FOLDER, load_circuit, resistive_names

SMALL = ResistiveRecipe("digits", (6,), 20.0, (0.03, 0.03), 2, 4, 1.0)


def drawn(hidden: tuple[int, ...], gain: float, seed: int = 0) -> DeepResistive:
    generator = torch.Generator().manual_seed(seed)
    network = build_resistive((1, 3, 2), hidden, 3, generator, input_gain=10.0, gain=gain)
    biases = tuple(0.1 * torch.randn(len(bias), generator=generator) for bias in network.biases)
    double = {name: tensor.double() for name, tensor in replace(network, biases=biases).named_parameters().items()}
    return network.with_parameters(double)


def images(count: int) -> Tensor:
    return torch.rand((count, 1, 3, 2), generator=torch.Generator().manual_seed(1)).double()


def power(network: DeepResistive, x: Tensor, volts: list[Tensor]) -> Tensor:
    """(B,) the energy of the docstring, by loops over layers."""
    total, strength, below = torch.zeros(len(x)).double(), 1.0, network.sources(x)
    for index, (g, bias, v) in enumerate(zip(network.conductances, network.biases, volts, strict=True)):
        total = total + strength * 0.5 * (g * (below[:, None] - v[:, :, None]).square()).sum(dim=(1, 2))
        total = total - strength * (bias * v).sum(dim=1)
        if index < len(network.gains):
            below, strength = network.gains[index] * v, strength / network.gains[index] ** 2
    return total


@pytest.mark.parametrize(("hidden", "gain"), [((5,), 1.0), ((6, 5), 2.0), ((5, 4, 6), 0.5)])
def test_sweeps_lower_the_energy_to_where_no_free_node_pulls(hidden: tuple[int, ...], gain: float) -> None:
    network, x = drawn(hidden, gain), images(3)
    energies = [power(network, x, settle(network, x, sweeps=sweeps)) for sweeps in range(1, 30)]
    assert all(bool((after <= before + 1e-12).all()) for before, after in pairwise(energies))
    volts = [v.clone().requires_grad_() for v in settle(network, x, sweeps=400)]
    slopes = torch.autograd.grad(power(network, x, volts).sum(), volts)
    for index, (v, slope) in enumerate(zip(volts, slopes, strict=True)):
        free = v != 0 if index + 1 < len(volts) else torch.ones_like(v, dtype=torch.bool)
        assert float(slope[free].abs().max()) < 1e-9
        if index + 1 < len(volts):  # a diode that conducts keeps its node from the side it must not go to
            held = (slope * signs(v.shape[1]))[~free]
            assert not len(held) or float(held.min()) >= -1e-9


@pytest.mark.parametrize(("hidden", "gain"), [((5,), 1.0), ((6, 5), 2.0)])
def test_the_gradient_by_local_voltages_is_that_of_the_cost(hidden: tuple[int, ...], gain: float) -> None:
    """Against finite differences of the cost at rest, at a small nudge."""
    network, x, labels = drawn(hidden, gain), images(2), torch.tensor([0, 2])
    targets = torch.nn.functional.one_hot(labels, 3).double()

    def cost(changed: DeepResistive) -> float:
        return float(0.5 * (settle(changed, x, sweeps=500)[-1] - targets).square().sum() / len(x))

    gradient = centered_gradient(network, x, labels, beta=1e-3, free_sweeps=500, nudged_sweeps=500)
    found = {}
    for number, (g, b) in enumerate(zip(gradient.conductances, gradient.biases, strict=True), start=1):
        found |= {f"link{number}.conductance": g, f"link{number}.bias": b}
    named = network.named_parameters()
    generator = torch.Generator().manual_seed(2)
    for name, tensor in named.items():
        direction = torch.rand(tensor.shape, generator=generator).double() * 1e-6
        ahead, behind = (
            cost(
                network.with_parameters(
                    {**named, name: (tensor + sign * direction).clamp(min=0 if "cond" in name else -9)}
                )
            )
            for sign in (1, -1)
        )
        moved = direction if "bias" in name else ((tensor + direction) - (tensor - direction).clamp(min=0)) / 2
        assert float((found[name] * moved).sum()) == pytest.approx((ahead - behind) / 2, rel=1e-2, abs=1e-12)


def test_a_nudge_pulls_outputs_to_their_targets() -> None:
    network, x = drawn((5,), 1.0), images(2)
    drive = network.sources(x) @ network.conductances[0].T + network.biases[0]
    targets = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).double()
    pulled = descend(network, drive, sweeps=200, nudge=Nudge(1e6, targets))
    assert torch.allclose(pulled[-1], targets, atol=1e-4)
    assert bool((rectified(torch.tensor([[-1.0, -1.0, 2.0, 2.0]])) == torch.tensor([[0.0, -1.0, 2.0, 0.0]])).all())


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize(("hidden", "gain"), [((5,), 1.0), ((6, 5), 2.0), ((5, 4, 6), 0.5)])
def test_the_equal_of_models_ep_has_the_same_voltages(hidden: tuple[int, ...], gain: float, seen: bool) -> None:
    """With states scaled for every image there is, and for those that were seen."""
    network, x = drawn(hidden, gain), images(4)
    network = measured(network, [x], sweeps=400) if seen else network
    same = equivalent(network)
    relaxed = relax(same, x.float(), steps=400, schedule="synchronous")
    assert same.readout is not None
    scores = same.logits(relaxed.states[-1]) * float((same.full / diagonal(network)[-1].sqrt()).max())
    assert float(same.readout.weight.max()) == 1.0
    volts = settle(network, x, sweeps=400)
    assert torch.allclose(scores.double(), volts[-1], atol=2e-4 * float(volts[-1].abs().max()))
    assert max(float(state.max()) for state in relaxed.states) < 1.0
    if same.offset < 0.5:
        assert seen
        assert float((relaxed.states[-1] - same.offset).abs().max()) == pytest.approx(same.offset / 1.5, rel=1e-3)
    assert type(same.with_parameters(same.named_parameters())) is not type(same)


def test_training_goes_on_bit_for_bit_after_a_stop(tmp_path: Path) -> None:
    data = load_data("digits")
    data = replace(data, train=data.train.first(60), validation=data.validation.first(20))
    whole = training.train(data, SMALL, seed=3).network
    state = tmp_path / "state"
    stopped = []

    def stop(record: training.Epoch) -> None:
        stopped.append(record)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(data, SMALL, seed=3, state_path=state, report=stop)
    further = training.train(data, SMALL, seed=3, state_path=state, resume=True)
    assert [record.epoch for record in further.history] == [1, 2]
    for name, tensor in further.network.named_parameters().items():
        assert torch.equal(tensor, whole.named_parameters()[name])
    with pytest.raises(CheckpointError, match="the run to resume has seed 3, this one 4"):
        training.train(data, SMALL, seed=4, state_path=state, resume=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden": ()}, "hidden is empty"),
        ({"learning_rates": (0.1,)}, "learning_rates has 1 values, expected 2: one per link"),
        ({"input_gain": 0.0}, "input_gain is 0.0, expected a positive number"),
        ({"epochs": 0}, "epochs is 0, expected 1 to"),
        ({"rate_decay": 1.5}, "rate_decay is 1.5, expected above 0 up to 1"),
    ],
)
def test_a_recipe_that_makes_no_network_is_refused(change: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drn-letters"], "recipe 'drn-letters' is neither one of drn-digits, drn-mnist"),
        (["drn-digits", "--beta", "-1"], "--beta is -1.0, expected a positive number"),
        (["drn-digits", "--output", "net.pt"], "--output is 'net.pt', expected a name that ends in .safetensors"),
        (["drn-mnist", "--data-dir", "nowhere"], "--data-dir is 'nowhere', expected a directory"),
    ],
)
def test_a_bad_option_exits_2_and_names_what_is_wrong(arguments: list[str], says: str, capsys) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_network_with_a_negative_resistor_is_refused() -> None:
    network = drawn((4,), 1.0)
    with pytest.raises(ValueError, match=r"link 1 has a conductance of -0.5: no resistor is negative"):
        replace(network, conductances=(network.conductances[0] - 0.5, network.conductances[1]))


def test_the_command_writes_a_network_that_is_read_again(tmp_path: Path, capsys) -> None:
    path = tmp_path / "net.safetensors"
    assert main(["drn-digits", "--epochs", "1", "--hidden", "4", "--output", str(path)]) == 0
    manifest = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert manifest["kind"] == "resistive"
    assert manifest["hyperparameters"]["hidden"] == [4]
    network = load_resistive(path)
    scored = training.evaluate(network, load_data("digits").test, 20)
    assert scored.correct == manifest["test"]["correct"]
    assert load_model(str(path)).classes == 10
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="damaged"):
        load_resistive(path)


def test_a_finished_network_is_not_written_over(tmp_path: Path, capsys) -> None:
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"finished")
    assert main(["drn-digits", "--epochs", "1", "--output", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == b"finished"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_resistive(load_circuit("drn-digits"), tmp_path / "a.safetensors")
    assert load_resistive(tmp_path / "a.safetensors").input_gain == load_circuit("drn-digits").input_gain
    with pytest.raises(CheckpointError, match="not a file of this program: expected the metadata key"):
        load_resistive(FOLDER.parent / "digits.safetensors")
    with pytest.raises(ValueError, match=r"neither a resistive network \(drn-digits, drn-mnist.*\) nor a path"):
        load_circuit("digits")


@pytest.mark.parametrize("name", resistive_names())
def test_every_network_of_the_zoo_was_made_by_the_recipe_of_today(name: str) -> None:
    manifest = json.loads((FOLDER / f"{name}.json").read_text())
    recipe = resistive_recipe(name)
    assert {
        key: list(v) if isinstance(v, tuple) else v for key, v in vars(recipe).items() if key != "data"
    } == manifest["hyperparameters"]
    assert manifest["data"] == recipe.data
    assert manifest["command"].startswith(f"python -m models.resistive {name}")
    assert training.parameter_count(load_circuit(name).named_parameters()) == manifest["parameters"]
    assert name not in zoo_names(), "those are networks of models.ep"
    assert set(resistive_names()) <= set(resistive_recipe_names())


def test_the_digits_network_is_as_good_as_its_manifest() -> None:
    manifest = json.loads((FOLDER / "drn-digits.json").read_text())
    scored = training.evaluate(load_circuit("drn-digits"), load_data("digits").test, 20)
    assert abs(scored.correct - manifest["test"]["correct"]) <= 1
    assert scored.accuracy >= 0.96
    assert scored.residual < 1e-5
