"""Spikes against the rate network, and what makes neurons imperfect against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.brian import settled, worst
from helpers.random_nets import mixed_network, random_images

from hw.brian.options import Imperfections, Rate, RateCoding, Scheme, SigmaDelta, Simulation
from hw.machine import Settled
from mapping.machines import to_brian, to_lava
from mapping.quantization import quantize
from models.data import load_data
from models.ep.links import DenseLink
from models.ep.network import EPNetwork
from models.zoo import load_model

torch = pytest.importorskip("torch")
OPERATOR = Simulation(dt_tau=0.5, linear="operator")
LONG = 120.0


def shown() -> Any:
    return random_images((2, 7, 6), 3, 0)


def rest(scheme: Scheme, **options: Any) -> Settled:
    options = {"duration_tau": LONG, "simulation": OPERATOR, **options}
    return settled(mixed_network(), shown(), scheme=scheme, **options)


@pytest.fixture(scope="module")
def rates() -> Settled:
    return rest(Rate())


def lonely(pixel: float, units: int = 400) -> tuple[EPNetwork, Any]:
    """Neurons that nothing but one pixel drives: their state is that pixel."""
    link = DenseLink(torch.ones(units, 1), torch.zeros(units), (1, 1, 1))
    readout = DenseLink(torch.zeros(2, units), torch.zeros(2), (units,))
    return EPNetwork((link,), readout), np.full((1, 1, 1, 1), pixel, np.float32)


@pytest.mark.parametrize("payload", ["graded", "unit"])
def test_what_spikes_tell_comes_to_the_rest_of_rates_as_the_threshold_falls(payload: Any, rates: Settled) -> None:
    errors = [
        worst(rest(SigmaDelta(payload, 1.0, 6.0), duration_tau=duration).states, rates.states)
        for duration in (30.0, LONG)
    ]
    assert errors[1] < 1e-4
    assert errors[1] < 0.1 * errors[0]


def test_a_fixed_threshold_leaves_an_error_of_its_own_size_and_counts_fewer_spikes_if_it_is_higher(
    rates: Settled,
) -> None:
    low, high = (rest(SigmaDelta("graded", threshold, None)) for threshold in (0.01, 0.1))
    assert worst(low.states, rates.states) < worst(high.states, rates.states) < 1.0
    assert low.ledger.messages is not None
    assert high.ledger.messages is not None
    assert low.ledger.messages.synops("delta") > 2 * high.ledger.messages.synops("delta")


@pytest.mark.parametrize(
    ("scheme", "latency_s"),
    [
        (SigmaDelta("graded"), 0.0),
        (SigmaDelta("graded"), 1e-3),
        (SigmaDelta("unit", 0.25), 1e-3),
        (RateCoding(10, 5), 0.0),
    ],
)
def test_synapses_and_operators_deliver_the_same_spikes(scheme: Scheme, latency_s: float) -> None:
    imperfections = Imperfections(latency_s=latency_s, refractory_s=1.5 * latency_s)
    first, second = (
        settled(
            mixed_network(),
            shown(),
            duration_tau=6.0,
            scheme=scheme,
            simulation=Simulation(linear=linear),
            imperfections=imperfections,
            batch_size=2,
        )
        for linear in ("synapses", "operator")
    )
    for one, other in zip(first.trace, second.trace, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert first.ledger.messages is not None
    assert second.ledger.messages is not None
    np.testing.assert_array_equal(first.ledger.messages.delta, second.ledger.messages.delta)


def test_late_spikes_change_the_way_and_not_the_rest(rates: Settled) -> None:
    late = rest(SigmaDelta(), imperfections=Imperfections(latency_s=1e-3, refractory_s=1e-3))
    prompt = rest(SigmaDelta())
    assert worst(late.states, rates.states) < 1e-3
    assert worst(late.trace, prompt.trace) > 0.01


def test_firing_rates_are_the_state_of_a_neuron_alone_within_a_spike_of_the_window() -> None:
    network, image = lonely(1.0, units=50)
    pixels = np.array([0.0, 0.13, 0.5, 0.87, 1.0], np.float32)
    found = settled(network, pixels.reshape(5, 1, 1, 1) * image[0], duration_tau=20.0, scheme=RateCoding(20, 10))
    assert (np.abs(found.states[0].mean(axis=1) - pixels) < 0.02 + 0.02 * pixels).all()


def test_a_refractory_period_bounds_the_rate_of_firing() -> None:
    network, image = lonely(1.0, units=5)
    imperfections = Imperfections(refractory_s=0.25e-3)  # 5 steps of 1/20 tau
    found = settled(network, image, duration_tau=20.0, scheme=RateCoding(20, 10), imperfections=imperfections)
    np.testing.assert_allclose(found.states[0], 0.2, atol=0.01)


@pytest.mark.parametrize("dt_tau", [0.2, 0.5])
def test_membrane_noise_has_the_standard_deviation_that_is_asked_for(dt_tau: float) -> None:
    network, image = lonely(0.5, units=2000)
    scheme, noise = SigmaDelta("graded", 1e-6, None), Imperfections(membrane_noise=0.05)
    found = settled(
        network, image, duration_tau=8.0, scheme=scheme, simulation=Simulation(dt_tau=dt_tau), imperfections=noise
    )
    assert float(found.states[0].std()) == pytest.approx(0.05, rel=0.06)
    assert float(found.states[0].mean()) == pytest.approx(0.5, abs=0.005)


def test_mismatched_thresholds_are_those_of_one_chip_for_every_image() -> None:
    """Each neuron ends short of its state by up to its own threshold, the same for two images alike."""
    network, image = lonely(0.45, units=400)
    images, scheme = np.concatenate([image, image]), SigmaDelta("graded", 0.1, None)
    flawed = Imperfections(threshold_mismatch=0.2, seed=3)
    one, other = (
        settled(network, images, duration_tau=10.0, scheme=scheme, imperfections=made, simulation=OPERATOR).states[0]
        for made in (flawed, Imperfections(threshold_mismatch=0.2, seed=4))
    )
    np.testing.assert_array_equal(one[0], one[1])
    assert (one != other).any()
    assert np.unique(one).size > 1
    assert (np.abs(one - 0.45) <= 0.1 * 1.8).all()


def test_what_neurons_of_the_first_image_did_can_be_watched() -> None:
    with to_brian(mixed_network(), duration_tau=8.0, scheme=SigmaDelta(), simulation=OPERATOR) as machine:
        machine.watch = True
        found = machine.settle(shown()[:1])
        seen = machine.seen
    assert seen is not None
    assert found.ledger.messages is not None
    spikes = found.ledger.messages.column("delta", "spikes")
    for index, layer in enumerate(seen["layers"], start=1):
        # those of the last step arrive after the end
        last = sum(time > 8e-3 - 1e-9 for time in layer["spike_times_s"])
        assert layer["spikes"] - last == spikes[:, index].sum()
        assert len(layer["states"][0]) == 16


@pytest.mark.slow
def test_spikes_tell_all_digits_what_rates_tell() -> None:
    """At most 0.02 off in any state, 99.5 % of the answers, and fewer synaptic operations than Lava's changes."""
    network, images = load_model("digits"), load_data("digits").test.floats().numpy()
    program = quantize(network, load_data("digits").train.first(256).floats(), state_bits=8, steps=40)
    told, meant = (
        settled(network, images, duration_tau=duration, scheme=scheme, simulation=simulation, batch_size=60)
        for scheme, duration, simulation in (
            (SigmaDelta(), 40.0, Simulation(linear="operator")),
            (Rate(), 60.0, OPERATOR),
        )
    )
    with to_lava(program, steps=40, delta_threshold=1) as lava:
        changes = lava.settle(images)
    assert worst(told.states, meant.states) <= 0.02
    assert (told.logits.argmax(axis=1) == meant.logits.argmax(axis=1)).mean() >= 0.995
    assert told.ledger.messages is not None
    assert changes.ledger.messages is not None
    assert told.ledger.messages.synops("delta") <= changes.ledger.messages.synops("delta")
