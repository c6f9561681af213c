"""That nothing of a die is left behind on the CPU: a device that is forgotten is found where there is no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.crossbar_machines import PCM, dense_network, pooled_network
from helpers.device_trap import Watched
from torch._subclasses.fake_tensor import FakeTensorMode

from hw.crossbar import machine as crossbar
from hw.crossbar.devices.device import Device
from hw.crossbar.dies import Dies
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.machine import Crossbar
from hw.crossbar.remedies import Remedies
from hw.crossbar.tiles import products, tile
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.wires import preset_wires
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Descent, LearningRule
from mapping.machines import to_crossbar, to_digital
from models.ep.network import EPNetwork

FOLDER = Path(crossbar.__file__).parent
ON_THE_CPU = ("two_arrays.py",)
"""A second array that is written and read there, one column at a time."""
NETWORKS = {"dense": dense_network(), "max": pooled_network("max")}


@pytest.fixture
def watched() -> Iterator[None]:
    with Watched(FOLDER, __file__, ON_THE_CPU):
        yield


def die_of(network: EPNetwork, design: Design, device: Device = PCM, index: int = 0) -> Crossbar:
    fabrication = Fabrication(device, design, seed=(index,), noise_seed=(index,), headroom=2.0)
    return to_crossbar(network, fabrication, steps=3, batch_size=4, device="cpu")


def images_of(network: EPNetwork) -> np.ndarray:
    return np.random.default_rng(0).random((6, *network.links[0].below), np.float32)


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("kind", ["dense", "max"])
def test_a_die_is_prepared_settles_and_learns_on_its_device(kind: str) -> None:
    network, images = NETWORKS[kind], images_of(NETWORKS[kind])
    machine = die_of(network, Design(rows=20, columns=20, adc_offset_sigma=0.01, wires=preset_wires("aihwkit")))
    remedies = Remedies(column_gains=True, offset_correction=True)
    machine.prepare(images, remedies, age_s=60.0, reference=to_digital(network, steps=3, device="cpu"))
    links = len(machine.links)
    rule = LearningRule(
        UpdatePhases.centered(0.3, free_steps=3, nudged_steps=2),
        Descent((0.4,) * links, (0.05,) * links, (0.0,) * links, (0.0,) * links),
        3,
    )
    before = machine.read_weights().weights[0]
    machine.learn(images, np.array([0, 1, 2, 2, 1, 0]), rule)
    assert np.abs(machine.read_weights().weights[0] - before).max() > 0
    together = Dies([die_of(network, Design(rows=20, columns=20, neurons="analog"), index=index) for index in (0, 1)])
    for one in together.dies:
        one.calibrate(images)
    assert together.settle(images).logits.shape == (12, 3)


@pytest.mark.parametrize("kind", ["dense", "max"])
def test_products_of_a_die_and_of_several_stay_on_a_gpu(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On tensors that have a device and no numbers: one of the CPU that slips in is an error."""
    fine = Design(rows=20, columns=20, slice_bits=2, adc_offset_sigma=0.01, wires=preset_wires("aihwkit"))
    network = NETWORKS[kind]
    made = [die_of(network, fine, index=index) for index in (0, 1)]
    for one in made:
        one.calibrate(images_of(network))
    # no number can be looked at, and no generator be made, where there is no device
    monkeypatch.setattr(products, "drive", lambda x, _: x)
    monkeypatch.setattr(tile, "generator_of", lambda _seed, _device: torch.Generator())
    circuit = made[0].circuit
    with FakeTensorMode(allow_non_fake_inputs=True):
        for one in made:
            for link in one.links:
                link.log.clear()
                link.placing = None
                for part in link.matrix.tiles:
                    part.compute_on("cuda")
        below = [torch.empty((8, *shape), device="cuda") for shape in circuit.layers]
        for links in (made[0].links, Dies(made).links):
            for index, link in enumerate(links):
                sums, switch = link.up(below[min(index, len(below) - 1)])
                seen = [read.array_j for _, read in link.log]
                if index < len(circuit.wires):
                    back = link.down(below[index + 1], switch)
                    assert back.shape == below[index].shape
                    seen.append(back)
                assert all(found.device.type == "cuda" for found in (sums, *seen))
