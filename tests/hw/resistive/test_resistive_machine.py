"""The machine: dies, learning in place, energy, and its price."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import uniform_drift
from helpers.resistive_examples import random_inputs, random_network

from hw.cost.resistive import SPREAD, driver_w, resistive_cost, thermal_limit_j
from hw.crossbar.devices.presets import preset
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Descent, LearningRule
from hw.ledger import Ledger
from hw.resistive.die import Mismatch, fabricate, written_back
from hw.resistive.links import DenseResistors
from hw.resistive.machine import PHASE_TAU, Physics, Resistive
from hw.resistive.network import Layer, ResistiveNetwork
from hw.resistive.parasitics import Parasitics, node_capacities
from hw.resistive.power import diodes_w, dissipated_w, heating_w
from hw.resistive.solver import Solver
from hw.resistive.track import track_of
from mapping.learning import network_with
from mapping.machines import to_resistive
from mapping.resistive import Mapped
from models.ep.relaxation import relax
from models.resistive.equivalent import equivalent
from models.resistive.gradient import centered_gradient
from models.resistive.network import build_resistive

CIRCUIT = build_resistive((1, 3, 2), (8, 6), 3, torch.Generator().manual_seed(5), input_gain=20.0, gain=1.3)
PLAIN = build_resistive((1, 3, 2), (8,), 3, torch.Generator().manual_seed(5), input_gain=20.0)
IMAGES = torch.rand((6, 1, 3, 2), generator=torch.Generator().manual_seed(1))
BETA = 0.005
LABELS = np.array([0, 1, 2, 2, 1, 0])


def rule(rate: float, momentum: float = 0.0, links: int = 3) -> LearningRule:
    phases = UpdatePhases.centered(BETA, free_steps=1, nudged_steps=1)
    return LearningRule(
        phases, Descent(*(((value,) * (links + 1)) for value in (rate, rate, 0.0, 0.0)), momentum), batch_size=3
    )


def of_device(name: str, seed: int = 0, **mismatch: float) -> Resistive:
    device = preset(name)

    def made(mapped: Mapped):
        return fabricate(mapped.network, device, (seed,), mismatch=Mismatch(**mismatch))

    return to_resistive(equivalent(CIRCUIT), g_max_s=device.g_max_s / 2, fabricated=made)


def test_learning_in_place_is_the_gradient_of_the_network() -> None:
    """Two updates of three images, in siemens and amperes, against the same in units of the network."""
    machine = to_resistive(equivalent(CIRCUIT))
    learned = machine.learn(IMAGES, LABELS, rule(0.05))
    network = CIRCUIT.with_parameters({name: t.double() for name, t in CIRCUIT.named_parameters().items()})
    hits = 0
    for batch in (slice(0, 3), slice(3, 6)):
        x, labels = IMAGES[batch].double(), torch.as_tensor(LABELS[batch])
        gradient = centered_gradient(network, x, labels, beta=BETA, free_sweeps=400, nudged_sweeps=400)
        hits += gradient.hits
        network = replace(
            network,
            conductances=tuple(
                (g - 0.05 * d).clamp(min=0) for g, d in zip(network.conductances, gradient.conductances, strict=True)
            ),
            biases=tuple(b - 0.05 * d for b, d in zip(network.biases, gradient.biases, strict=True)),
        )
    assert learned.hits == hits
    expected = equivalent(network)
    found = machine.read_weights()
    for mine, other in zip(found.weights, (*expected.links, expected.readout), strict=True):
        np.testing.assert_allclose(mine, other.weight, atol=1e-5 * float(other.weight.abs().max()))  # type: ignore[union-attr]
    for mine, other in zip(found.biases, (*expected.links, expected.readout), strict=True):
        np.testing.assert_allclose(mine.ravel(), other.bias, atol=1e-4)  # type: ignore[union-attr]
    settled = machine.settle(IMAGES)
    same = network_with(expected, found)
    scores = same.logits(relax(same, IMAGES, steps=400, schedule="synchronous").states[-1])
    np.testing.assert_allclose(settled.logits, scores, atol=2e-3 * float(scores.abs().max()))


def test_a_die_of_perfect_devices_is_the_circuit() -> None:
    plain, die = to_resistive(equivalent(CIRCUIT)), of_device("ideal")
    np.testing.assert_allclose(die.settle(IMAGES).logits, plain.settle(IMAGES).logits, atol=1e-12)
    np.testing.assert_allclose(die.answers(IMAGES), plain.answers(IMAGES), atol=1e-12)


def test_a_drift_that_is_the_same_for_all_changes_no_voltage() -> None:
    device = uniform_drift(0.1)

    def made(mapped: Mapped):
        return fabricate(mapped.network, device, (0,)).at(1e6)

    quiet = replace(CIRCUIT, biases=tuple(torch.zeros_like(bias) for bias in CIRCUIT.biases))
    drifted = to_resistive(equivalent(quiet), g_max_s=device.g_max_s, fabricated=made)
    fresh = to_resistive(equivalent(quiet), g_max_s=device.g_max_s)
    np.testing.assert_allclose(drifted.answers(IMAGES), fresh.answers(IMAGES), atol=1e-12)
    kept = (1 + 1e6 / 10) ** -0.1
    assert drifted.rest(IMAGES)[0].loads[0].sum() == pytest.approx(kept * float(fresh.rest(IMAGES)[0].loads[0].sum()))


def test_devices_and_offsets_move_the_answers_and_seeds_repeat_them() -> None:
    exact = to_resistive(equivalent(CIRCUIT)).answers(IMAGES)
    dies = [of_device("pcm-nandakumar-2019", seed).answers(IMAGES) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(dies[0], dies[1])
    assert np.abs(dies[0] - dies[2]).max() > 1e-3
    assert 1e-3 < np.abs(dies[0] - exact).max() < 5.0
    die = of_device("pcm-nandakumar-2019")
    first, second = die.answers(IMAGES), die.answers(IMAGES)
    assert 0 < np.abs(first - second).max() < 2.0, "the noise of a settle is drawn anew"
    offset = of_device("ideal", 0, offset_v=1e-3).answers(IMAGES)
    assert 1e-4 < np.abs(offset - exact).max() < 2.0


@pytest.mark.parametrize(("device", "how"), [("pcm-nandakumar-2019", "rewrite"), ("li-ecram-2018", "pulses")])
def test_devices_learn_by_what_their_preset_allows(device: str, how: str) -> None:
    def made(mapped: Mapped):
        return fabricate(mapped.network, preset(device), (0,))

    machine = to_resistive(equivalent(PLAIN), g_max_s=preset(device).g_max_s / 2, fabricated=made, update=how)

    def cost() -> float:
        """In units of the voltage of a right output, a twentieth of the supply."""
        volts = machine.rest(IMAGES)[2].volts[-1].numpy()
        return float(np.square(20 * volts - np.eye(3)[LABELS]).mean())

    before = cost()
    for _ in range(8):
        machine.learn(IMAGES, LABELS, rule(0.05, links=2))
    assert cost() < 0.6 * before
    assert machine.writes().sum() > 0


def test_what_is_asked_is_the_gradient_and_noise_stays_through_an_update_unless_told_otherwise() -> None:
    """Centered phases of one circuit differ by the nudge alone; of two circuits by far more."""
    device = preset("pcm-nandakumar-2019")

    def made(mapped: Mapped):
        return fabricate(mapped.network, device, (0,))

    def machine(fresh_s: float | None) -> Resistive:
        physics = Physics(fresh_s=fresh_s)
        return to_resistive(equivalent(PLAIN), g_max_s=device.g_max_s / 2, fabricated=made, physics=physics)

    asked = {
        fresh_s: machine(fresh_s).asked(IMAGES, LABELS, rule(1.0, links=2)).plus_s[1] for fresh_s in (None, 1.0, 0.0)
    }
    still = machine(None).asked(IMAGES, LABELS, rule(1.0, links=2), noise=False).plus_s[1]
    np.testing.assert_array_equal(asked[None], asked[1.0])
    assert np.abs(asked[None] - still).max() < np.abs(still).max()
    assert np.abs(asked[0.0] - still).max() > 3 * np.abs(still).max()
    quiet = machine(None)
    before = quiet.die.arrays[1][0].conductance_s().copy()
    quiet.asked(IMAGES, LABELS, rule(1.0, links=2))
    np.testing.assert_array_equal(quiet.die.arrays[1][0].conductance_s(), before)
    with pytest.raises(ValueError, match=r"fresh_s is -1.0 s, expected a number from 0"):
        machine(-1.0)


def test_writing_back_programs_the_worst_devices_again_and_leaves_a_common_drift() -> None:
    perfect = fabricate(to_resistive(equivalent(PLAIN)).designed, uniform_drift(0.1), (0,))
    mapped = perfect.ideal
    spoilt = np.zeros(perfect.arrays[0][0].target_s.shape, bool)
    first = perfect.arrays[0][0]
    spoilt.flat[np.argsort(first.target_s.ravel())[:3]] = True
    off = replace(first, programmed_s=np.where(spoilt, 25e-6 - first.target_s, first.programmed_s))
    die = replace(perfect, arrays=((off, perfect.arrays[0][1]), *perfect.arrays[1:])).at(1e6)
    back = written_back(die, fabricate(mapped, uniform_drift(0.1), (0,)), 3, np.random.default_rng(0))
    np.testing.assert_array_equal(back.arrays[0][0].writes > 0, spoilt)
    assert sum(int(one.writes.sum()) for pair in back.arrays for one in pair if one is not None) == 3
    kept = (1 + 1e6 / 10) ** -0.1
    np.testing.assert_allclose(back.arrays[0][0].conductance_s(), kept * first.programmed_s, rtol=0.1, atol=2e-7)


def test_devices_of_few_levels_are_set_to_the_nearest_and_learn_from_one_to_the_next() -> None:
    device = preset("ideal")

    def made(mapped: Mapped):
        return fabricate(mapped.network, device, (0,), levels=5)

    machine = to_resistive(equivalent(PLAIN), g_max_s=device.g_max_s / 2, fabricated=made)
    step_s = (device.g_max_s - device.g_min_s) / 4
    wanted = to_resistive(equivalent(PLAIN), g_max_s=device.g_max_s / 2).network.links[1].plus_s
    held = machine.network.links[1].plus_s
    assert np.abs(held - wanted).max() <= step_s / 2 + 1e-12
    before = held.copy()
    for _ in range(30):
        machine.learn(IMAGES, LABELS, rule(0.2, links=2))
    held = machine.network.links[1].plus_s
    level = (held - device.g_min_s) / step_s
    np.testing.assert_allclose(level, np.rint(level), atol=1e-9)
    assert 0 < np.abs(held - before).max() <= 4 * step_s
    with pytest.raises(ValueError, match="levels is 1, expected at least 2"):
        fabricate(machine.designed, device, (0,), levels=1)


def test_pulses_need_a_published_response_and_rules_what_resistors_have() -> None:
    def made(mapped: Mapped):
        return fabricate(mapped.network, preset("pcm-nandakumar-2019"), (0,))

    with pytest.raises(ValueError, match="cannot be written pulse by pulse"):
        to_resistive(equivalent(CIRCUIT), fabricated=made, update="pulses")
    machine = to_resistive(equivalent(CIRCUIT))
    with pytest.raises(ValueError, match="resistors keep no momentum"):
        machine.learn(IMAGES, LABELS, rule(0.1, momentum=0.9))
    with pytest.raises(ValueError, match="labels are 0 to 7, the circuit has classes 0 to 2"):
        machine.learn(IMAGES, np.array([0, 1, 7, 0, 1, 2]), rule(0.1))
    with pytest.raises(ValueError, match=r"tolerance is 2.0, expected a share"):
        to_resistive(equivalent(CIRCUIT), physics=Physics(tolerance=2.0))


def test_joules_are_power_at_rest_times_time_once_it_is_at_rest() -> None:
    """All but the way there: the power of a circuit that starts at 0 V is the largest at the start."""
    machine = to_resistive(equivalent(CIRCUIT))
    settled = machine.settle(IMAGES)
    analog = settled.ledger.analog
    assert analog is not None
    assert settled.rest_s is not None
    assert analog.settled_s == pytest.approx(settled.rest_s.sum())
    solver, sources, rest = machine.rest(IMAGES)
    watts = {part: values.numpy() for part, values in dissipated_w(solver, sources, rest.volts).items()}
    least = float((watts["link1"] * settled.rest_s).sum())
    zero = dissipated_w(solver, sources, [torch.zeros_like(v) for v in rest.volts])["link1"].numpy()
    assert least <= analog.energy_j["link1"] <= float((zero * settled.rest_s).sum()) * 1.05
    one = resistive_cost(settled.ledger, 1e-6, 6, 3)
    assert one.latency_s is not None
    assert one.latency_s.high == pytest.approx(SPREAD * one.latency_s.nominal)
    assert sum(one.breakdown_j.values()) == pytest.approx(one.energy_j.nominal)
    assert one.breakdown_j["drivers"] == pytest.approx(1e-6 * one.latency_s.nominal)
    with pytest.raises(ValueError, match="the ledger has no 'analog'"):
        resistive_cost(Ledger(1), 0.0, 1, 1)


def test_the_ledger_of_a_pass_is_the_power_of_every_phase_for_as_long_as_it_is_left() -> None:
    """Two updates of three images, free, nudged up and down: heat of all resistors, node by node in numpy."""
    machine = to_resistive(equivalent(PLAIN))
    network, tau_s = machine.network, machine.tau_s
    learned = machine.learn(IMAGES, LABELS, rule(0.0, links=2))
    analog = learned.ledger.analog
    assert analog is not None
    assert learned.ledger.images == 6
    ends = 3  # free, and nudged both ways
    assert analog.settled_s == pytest.approx(ends * 6 * PHASE_TAU * tau_s)
    _, sources, rest = to_resistive(equivalent(PLAIN)).rest(IMAGES)
    first = network.links[0]
    above, below = rest.volts[0].numpy()[:, :, None], sources.numpy()[:, None]
    minus = np.zeros_like(first.plus_s) if first.minus_s is None else first.minus_s
    watts = (first.plus_s * (below - above) ** 2 + minus * (below + above) ** 2).sum()
    # so small a beta moves the power of the free phase by less than that
    assert analog.energy_j["link1"] == pytest.approx(ends * watts * PHASE_TAU * tau_s, rel=0.02)


def test_the_ledger_of_a_settle_is_the_heat_of_a_resistor_and_a_capacitor_by_hand() -> None:
    """A source, a resistor, a node that leaks: v = V r (1 - exp(-t / tau)), r = G / (G + L), tau = C / (G + L)."""
    g_s, leak_s, input_v = 3e-6, 1e-6, 0.5
    link, free = DenseResistors(np.array([[g_s]]), None), np.array([np.inf])
    layer = Layer(-free, free, np.array([leak_s]), np.array([0.0]))
    network = ResistiveNetwork((link,), (layer,), (), input_v)
    solver = Solver(network)
    (farad,) = node_capacities(network, Parasitics(), "cpu")
    tau_s = float(farad) / (g_s + leak_s)
    times_s = tau_s * np.geomspace(0.01, 40, 400)
    track = track_of(solver, solver.sources(torch.ones(1, 1)), [farad], times_s, 1e-6)
    events, until = track.events(), times_s[track.rest[0]]
    ratio = g_s / (g_s + leak_s)
    once, twice = tau_s * (1 - np.exp(-until / tau_s)), tau_s / 2 * (1 - np.exp(-2 * until / tau_s))
    # integrals of (V - v)^2 and v^2 over the way there
    link_j = g_s * input_v**2 * ((1 - ratio) ** 2 * until + 2 * ratio * (1 - ratio) * once + ratio**2 * twice)
    leak_j = leak_s * (input_v * ratio) ** 2 * (until - 2 * once + twice)
    held_j = 0.5 * float(farad) * (input_v * ratio) ** 2
    assert events.settled_s == pytest.approx(until)
    assert events.energy_j["link1"] == pytest.approx(link_j, rel=0.01)
    assert events.energy_j["leaks"] == pytest.approx(leak_j, rel=0.01)
    assert events.energy_j["capacitors"] == pytest.approx(held_j, rel=1e-6)
    assert events.energy_j["diodes"] == events.energy_j["clamps"] == 0


@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_heat_of_many_times_at_once_is_that_of_each(gain: float) -> None:
    network = random_network((5, 6, 4), 3, gain=gain)
    solver = Solver(network)
    sources = solver.sources(random_inputs(network, 4, 1))
    rows = [torch.rand((5, 4, units), generator=torch.Generator().manual_seed(units)) for units in network.units]
    rows = [layer.double() for layer in rows]
    drive = solver.operators[0].up(sources)
    found = heating_w(solver, sources, drive, rows)
    for time in range(5):
        volts = [layer[time] for layer in rows]
        expected = dissipated_w(solver, sources, volts)
        assert {*found, *diodes_w(solver, drive, volts)} == set(expected)
        for part, watts in found.items():
            torch.testing.assert_close(watts[time], expected[part], rtol=1e-9, atol=1e-18)


def test_constants_of_the_cost_are_those_of_physics() -> None:
    assert thermal_limit_j(1, 8) == pytest.approx(3.26e-15, rel=0.01)
    assert driver_w(1e-12, 1e-9, 1.0) == pytest.approx(1.3 * 0.025852 * 10 * 1e-12 / 1e-9, rel=1e-5)
