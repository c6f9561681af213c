"""Networks of `models.ep` on resistors: the same equilibria where the form allows, a refusal by name where not."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch

from hw.resistive.power import delivered_w, dissipated_w
from hw.resistive.settling import settle
from hw.resistive.solver import Solver
from mapping.machines import to_resistive
from mapping.resistive import NotResistiveError, resistive_of
from models.ep.network import Conv, Dense, EPNetwork, build_network
from models.ep.relaxation import relax
from models.zoo import load_model, zoo_names
from models.zoo.resistive import load_circuit

SHAPE = (2, 7, 6)
CASES = {
    "dense": (Dense(9, gain=0.5), Dense(6, gain=0.2), Dense(4, gain=0.2)),
    "conv": (
        Conv(3, kernel=3, padding=1, gain=0.5),
        Conv(4, kernel=3, stride=2, padding=1, gain=0.12),
        Dense(5, gain=0.1),
    ),
    "average": (Conv(3, kernel=3, padding=1, pooling="average", pool_size=2, gain=0.6), Dense(5, gain=0.2)),
}


def network_of(layers: tuple[Conv | Dense, ...], readout: bool = True) -> EPNetwork:
    generator = torch.Generator().manual_seed(1)
    drawn = build_network(SHAPE, layers, 3 if readout else None, generator)
    named = drawn.named_parameters()
    for name, tensor in named.items():
        if name.endswith("bias"):
            named[name] = 0.2 * torch.randn(tensor.shape, generator=generator)
    return drawn.with_parameters(named)


@pytest.mark.parametrize("name", CASES)
def test_voltages_at_rest_are_the_states_of_the_network(name: str) -> None:
    network = network_of(CASES[name])
    images = torch.rand((4, *SHAPE), generator=torch.Generator().manual_seed(2))
    expected = relax(network, images, steps=300, schedule="synchronous")
    mapped = resistive_of(network, input_v=0.7, g_max_s=1e-4)
    solver = Solver(mapped.network)
    sources = solver.sources(images)
    rest = settle(solver, sources)
    for index, (volts, states) in enumerate(zip(rest.volts, expected.states, strict=True)):
        np.testing.assert_allclose(mapped.reading.states(index, volts.numpy()), states.flatten(1), atol=2e-6)
    np.testing.assert_allclose(
        mapped.reading.scores(rest.volts[-1].numpy()), network.logits(expected.states[-1]), atol=1e-5
    )
    largest = max(float(np.max([link.plus_s.max(), link.minus_s.max()])) for link in mapped.network.links)  # type: ignore[union-attr]
    assert largest == pytest.approx(1e-4)
    assert float(sources.max()) <= 0.7
    heat = sum(dissipated_w(solver, sources, rest.volts).values())
    assert torch.allclose(heat, delivered_w(solver, sources, rest.volts), rtol=1e-8)


def test_states_clip_at_both_ends() -> None:
    """Else the test above would not see the diodes."""
    network = network_of(CASES["dense"])
    states = relax(network, torch.rand((4, *SHAPE)), steps=300, schedule="synchronous").states
    assert any(bool((state == 0).any()) for state in states)
    stronger = network.with_parameters(
        {name: (3 if name.startswith("link1") else 1) * tensor for name, tensor in network.named_parameters().items()}
    )
    images = torch.rand((4, *SHAPE))
    states = relax(stronger, images, steps=300, schedule="synchronous").states
    assert bool((states[0] == 1).any())
    mapped = resistive_of(stronger)
    solver = Solver(mapped.network)
    volts = settle(solver, solver.sources(images)).volts[0].numpy()
    np.testing.assert_allclose(mapped.reading.states(0, volts), states[0], atol=2e-6)


def test_a_resistive_network_keeps_its_own_resistors() -> None:
    circuit = load_circuit("drn-digits")
    mapped = resistive_of(load_model("drn-digits"), g_max_s=2e-5)
    scale = 2e-5 / max(float(g.max()) for g in circuit.conductances)
    pixels = prod(circuit.input_shape)
    np.testing.assert_allclose(mapped.network.links[0].plus_s, scale * circuit.conductances[0][:, :pixels].double())
    np.testing.assert_allclose(mapped.network.links[0].minus_s, scale * circuit.conductances[0][:, pixels:].double())  # type: ignore[arg-type]
    assert mapped.network.links[1].minus_s is None


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (
            lambda: network_of((Dense(9, gain=0.5), Dense(6, gain=2.0))),
            r"the layers drive each other by [\d.]+ in absolute",
        ),
        (
            lambda: network_of((Conv(3, kernel=3, pooling="max", pool_size=2), Dense(4))),
            r"link 1 \(conv .*\) takes maxima: resistors only add currents, train with average pools or stride",
        ),
        (lambda: load_model(zoo_names()[0]), "resistors express less than 1: train weaker links between layers"),
    ],
)
def test_what_resistors_cannot_express_is_refused_by_name(network, says: str) -> None:
    with pytest.raises(NotResistiveError, match=says):
        resistive_of(network())


def test_supplies_and_devices_that_make_no_sense_are_refused() -> None:
    network = network_of(CASES["dense"])
    with pytest.raises(ValueError, match=r"input_v is 0\.0 V"):
        resistive_of(network, input_v=0.0)
    with pytest.raises(ValueError, match=r"g_max_s is -1\.0 S"):
        resistive_of(network, g_max_s=-1.0)
    with pytest.raises(ValueError, match="this circuit does not learn in place"):
        to_resistive(network).learn(np.zeros((1, *SHAPE)), np.zeros(1, int), None)  # type: ignore[arg-type]
