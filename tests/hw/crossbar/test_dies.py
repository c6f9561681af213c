"""Dies that settle together against each of them alone: the same devices and draws, other code."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.crossbar_machines import PCM, dense_network, pooled_network
from numpy.typing import NDArray

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.dies import Dies
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.machine import Crossbar
from hw.crossbar.remedies import Remedies
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.wires import preset_wires
from hw.ledger import merge
from hw.machine import Settled, concatenate
from mapping.machines import to_crossbar, to_digital
from mapping.quantization import quantize
from models.ep.links import DenseLink
from models.ep.network import EPNetwork

SMALL = Design(rows=12, columns=10)
DESIGNS = {
    "pairs": SMALL,
    "ideal converters": replace(SMALL, adc_bits=None),
    "reference columns behind wires": replace(SMALL, encoding="offset", adc_bits=None, wires=preset_wires("aihwkit")),
    "slices and errors of converters": replace(
        SMALL, adc_offset_sigma=0.01, dac_gain_sigma=0.01, slice_bits=2, weight_bits=5, cell_bits=2
    ),
    "analog neurons": replace(SMALL, neurons="analog"),
}
NETWORKS = {"dense": dense_network(), "max": pooled_network("max"), "average": pooled_network("average")}
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, torch finds none")


def images_of(network: EPNetwork, count: int = 8) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((count, *network.links[0].below), np.float32)


def dies(network: EPNetwork, design: Design, device: str = "cpu", count: int = 2) -> list[Crossbar]:
    """Always the same; every die has gains of its columns, ranges and biases of its own."""
    remedied = design in (DESIGNS["pairs"], DESIGNS["ideal converters"])
    made = []
    for index in range(count):
        fabrication = Fabrication(PCM, design, seed=(3, index), noise_seed=(4, index))
        machine = to_crossbar(network, fabrication, steps=4, batch_size=6, tolerance=1e-3, device=device)
        if remedied:
            remedies = Remedies(column_gains=True, offset_correction=True)
            machine.prepare(images_of(network)[:6], remedies, reference=to_digital(network, steps=4))
        else:
            machine.calibrate(images_of(network)[:6])
        made.append(machine)
    return made


def assert_same(together: Settled, alone: list[Settled], atol: float = 1e-5) -> None:
    each, ledger = concatenate(alone), merge([one.ledger for one in alone])
    for name in ("logits", "logits_by_step", "residual"):
        np.testing.assert_allclose(getattr(together, name), getattr(each, name), atol=atol, err_msg=name)
    for ours, theirs in zip(together.states, each.states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol)
    np.testing.assert_array_equal(together.steps, each.steps)
    ours, theirs = together.ledger, ledger
    assert ours.tiles is not None
    assert theirs.tiles is not None
    for name in ("reads", "dac", "adc", "holds", "shift_adds", "bits", "clipped"):
        np.testing.assert_array_equal(getattr(ours.tiles, name), getattr(theirs.tiles, name), err_msg=name)
    np.testing.assert_allclose(ours.tiles.array_j, theirs.tiles.array_j, rtol=1e-6)
    assert (ours.images, ours.tiles.written, ours.tiles.slots) == (
        theirs.images,
        theirs.tiles.written,
        theirs.tiles.slots,
    )
    assert ours.messages is not None
    assert theirs.messages is not None
    np.testing.assert_array_equal(ours.messages.dense, theirs.messages.dense)
    np.testing.assert_array_equal(ours.messages.running, theirs.messages.running)


@pytest.mark.parametrize(
    ("kind", "design"),
    [*(("dense", design) for design in DESIGNS), ("max", "pairs"), ("average", "pairs"), ("max", "ideal converters")],
)
def test_dies_together_answer_as_each_alone(kind: str, design: str) -> None:
    network, images = NETWORKS[kind], images_of(NETWORKS[kind])
    alone, together = dies(network, DESIGNS[design]), Dies(dies(network, DESIGNS[design]))
    for _ in range(2):  # noise is drawn anew, and by each die from its own generators
        assert_same(together.settle(images), [one.settle(images) for one in alone])


def test_integers_of_programs_are_the_same_bits() -> None:
    network, images = NETWORKS["average"], images_of(NETWORKS["average"])
    program = quantize(network, torch.as_tensor(images), state_bits=6)

    def made() -> list[Crossbar]:
        found = [to_crossbar(program, Fabrication(PCM, SMALL, seed=(index,)), steps=5) for index in range(2)]
        for one in found:
            one.prepare(images, Remedies())
        return found

    assert_same(Dies(made()).settle(images), [one.settle(images) for one in made()], atol=0)


def test_a_die_answers_alike_whatever_is_beside_it() -> None:
    images = images_of(NETWORKS["dense"])
    two, three = (Dies(dies(NETWORKS["dense"], SMALL, count=count)).settle(images) for count in (2, 3))
    np.testing.assert_allclose(two.logits, three.logits[: len(two.logits)], atol=1e-5)


def test_dies_of_other_points_are_refused() -> None:
    with pytest.raises(ValueError, match="no dies"):
        Dies([])
    one = dies(NETWORKS["dense"], SMALL, count=1)
    with pytest.raises(ValueError, match="die 2 differs from the first in its design"):
        Dies([*one, *dies(NETWORKS["dense"], replace(SMALL, rows=20), count=1)])
    with pytest.raises(ValueError, match="die 2 holds another circuit"):
        Dies([*one, *dies(NETWORKS["max"], SMALL, count=1)])


def spread_of_reads(device: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of 20,000 reads of two dies with nothing but fresh noise, and what the formula says.

    sigma_j = scale sqrt(sum_i x_i**2 (sigma(G+)**2 + sigma(G-)**2)) with a constant sigma per device: scale sigma
    sqrt(2 sum x**2).
    """
    sigma_s, count, inputs = 0.05e-6, 20_000, 4
    noisy = replace(IDEAL, fresh=ConstantCurve(sigma_s), g_min_s=1e-6)
    weight = torch.tensor([[0.5, -0.3, 0.2, 0.1], [0.1, 0.4, 0.3, 0.2]])
    network = EPNetwork((DenseLink(weight, torch.full((2,), 0.2), (1, 1, inputs)),))
    x = np.array([0.3, 0.9, 0.5, 0.7], np.float32)
    made = [
        to_crossbar(
            network,
            Fabrication(noisy, replace(EXACT, rows=8, columns=8), seed=(die,), noise_seed=(die,)),
            steps=1,
            batch_size=count,
            device=device,
        )
        for die in range(2)
    ]
    states = Dies(made).settle(np.broadcast_to(x, (count, 1, 1, inputs))).states[0]
    scale = 0.5 / (noisy.g_max_s - noisy.g_min_s)
    expected = scale * sigma_s * sqrt(2 * float((x**2).sum()))
    return states.reshape(2, count, 2).std(axis=1), np.full((2, 2), expected)


def test_fresh_noise_has_the_spread_of_the_formula() -> None:
    found, expected = spread_of_reads("cpu")
    np.testing.assert_allclose(found, expected, rtol=0.02)  # four standard errors of 20,000 reads


@CUDA
def test_fresh_noise_on_cuda_has_the_spread_of_the_formula() -> None:
    found, expected = spread_of_reads("cuda")
    np.testing.assert_allclose(found, expected, rtol=0.02)


@CUDA
@pytest.mark.parametrize("kind", [*NETWORKS])
def test_cuda_computes_what_the_cpu_does_without_fresh_noise(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helpers.crossbar_machines.PCM", replace(PCM, fresh=None))
    network, images = NETWORKS[kind], images_of(NETWORKS[kind])
    alone = dies(network, DESIGNS["ideal converters"])
    assert_same(
        Dies(dies(network, DESIGNS["ideal converters"], "cuda")).settle(images), [one.settle(images) for one in alone]
    )
