"""The rate network in continuous time against torch, integers and an exact integration."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
import torch
from helpers.brian import settled, worst
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import given, settings
from scipy.integrate import solve_ivp

from hw.brian.options import Rate, Scheme, SigmaDelta, Simulation
from mapping.machines import to_brian, to_digital
from models.data import load_data
from models.ep.network import EPNetwork
from models.ep.relaxation import relax
from models.zoo import load_model

SYNCHRONOUS = {"simulation": Simulation(dt_tau=1.0)}


def fixed_point(network: EPNetwork, images: Any, steps: int = 600) -> list[Any]:
    """By torch, in float64."""
    double = network.map_parameters(lambda tensor: tensor.double())
    with torch.no_grad():
        states = relax(double, torch.as_tensor(images).double(), steps=steps, schedule="synchronous").states
    return [state.numpy() for state in states]


@pytest.mark.parametrize("linear", ["synapses", "operator"])
def test_a_step_of_one_time_constant_is_a_synchronous_step(linear: str) -> None:
    network, images = mixed_network(), random_images((2, 7, 6), 3, 0)
    ours = settled(network, images, duration_tau=9.0, simulation=Simulation(dt_tau=1.0, linear=linear))
    theirs = to_digital(network, steps=9).settle(images, trace=True)
    for mine, expected in zip(ours.trace, theirs.trace, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.logits_by_step, theirs.logits_by_step, rtol=0, atol=1e-5)


@settings(max_examples=6, deadline=None)
@given(network=networks(largest=5))
def test_random_networks_take_synchronous_steps_over_synapses(network: EPNetwork) -> None:
    images = random_images(network.input_shape, 2, 1)
    ours = settled(network, images, duration_tau=5.0, **SYNCHRONOUS)
    theirs = to_digital(network, steps=5).settle(images, trace=True)
    for mine, expected in zip(ours.trace, theirs.trace, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("linear", ["synapses", "operator"])
def test_integers_take_synchronous_steps_in_every_bit(linear: str) -> None:
    program = program_of(mixed_network(), state_bits=8, seed=4)
    images = random_images((2, 7, 6), 3, 2)
    ours = settled(program, images, duration_tau=9.0, simulation=Simulation(dt_tau=1.0, linear=linear))
    theirs = to_digital(program, steps=9).settle(images, trace=True)
    assert ours.one == 255
    for mine, expected in zip((*ours.trace, *ours.states), (*theirs.trace, *theirs.states), strict=True):
        np.testing.assert_array_equal(mine, expected)
    np.testing.assert_array_equal(ours.logits_by_step, theirs.logits_by_step)


def test_integers_in_continuous_time_rest_where_a_synchronous_step_leaves_them() -> None:
    """A program may have several such points; that of a short step need not be that of a long one."""
    program = program_of(mixed_network(), state_bits=8, seed=4)
    images = random_images((2, 7, 6), 3, 2)
    found = settled(program, images, duration_tau=80.0, simulation=Simulation(dt_tau=0.5, linear="operator"))
    machine = to_digital(program, steps=1)
    codes = torch.as_tensor(program_codes(images)).double()
    states = [codes, *(torch.as_tensor(state).double() for state in found.states)]
    again = machine.dynamics.advance(states, machine.dynamics.input_drive(codes))
    for mine, stepped in zip(found.states, again[1:], strict=True):
        np.testing.assert_array_equal(mine, stepped.numpy())


def program_codes(images: Any) -> Any:
    return np.rint(images * 255)


def test_short_steps_follow_the_exact_course_of_the_equations() -> None:
    """Against scipy's adaptive integration; Euler's error is of the order of the step."""
    network, images = mixed_network(), random_images((2, 7, 6), 1, 3)
    digital = to_digital(network, steps=1).dynamics
    image = torch.as_tensor(images)
    drive = digital.input_drive(image)
    shapes = [link.above for link in network.links]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def slope(_: float, state: Any) -> Any:
        parts = [
            torch.as_tensor(part.reshape(1, *shape)).float()
            for part, shape in zip(np.split(state, ends), shapes, strict=True)
        ]
        drawn = digital.advance([image, *parts], drive)[1:]
        return np.concatenate([new.numpy().ravel() for new in drawn]) - state

    times = np.array([0.5, 1.0, 2.0, 5.0])
    total = sum(int(np.prod(shape)) for shape in shapes)
    exact = solve_ivp(slope, (0, 5), np.zeros(total), t_eval=times, rtol=1e-6, atol=1e-6).y.T
    errors = []
    for dt_tau in (0.1, 0.05):
        found = settled(network, images, duration_tau=5.0, simulation=Simulation(tau_s=0.01, dt_tau=dt_tau))
        np.testing.assert_allclose(found.times_s, 0.01 * dt_tau * np.arange(1, round(5 / dt_tau) + 1), rtol=1e-12)
        rows = [round(time / dt_tau) - 1 for time in times]
        course = np.concatenate([layer[:, 0].reshape(len(layer), -1) for layer in found.trace], axis=1)
        errors.append(np.abs(course[rows] - exact).max())
    assert errors[1] < 0.01
    assert errors[1] < 0.6 * errors[0], "half the step, half the error"


@pytest.mark.parametrize("dt_tau", [1.0, 0.25])
def test_rest_is_the_fixed_point_of_torch_after_sixty_time_constants(dt_tau: float) -> None:
    network = load_model("digits")
    images = random_images((1, 8, 8), 3, 5)
    simulation = Simulation(dt_tau=dt_tau, linear="operator")
    found = settled(network, images, duration_tau=60.0, simulation=simulation)
    assert worst(found.states, fixed_point(network, images)) < 1e-6


def test_synapses_and_operators_are_the_same_numbers() -> None:
    network, images = mixed_network(), random_images((2, 7, 6), 3, 6)
    first, second = (
        settled(network, images, duration_tau=6.0, simulation=Simulation(linear=linear))
        for linear in ("synapses", "operator")
    )
    for one, other in zip(first.trace, second.trace, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-7)


def test_progress_is_told_after_every_batch() -> None:
    network, images = mixed_network(), random_images((2, 7, 6), 5, 7)
    told: list[tuple[int, int]] = []
    with to_brian(network, duration_tau=2.0, batch_size=2, **SYNCHRONOUS) as machine:
        machine.progress = lambda done, of: told.append((done, of))
        machine.settle(images)
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("linear", ["synapses", "operator"])
def test_sixty_four_digits_take_the_steps_of_torch(linear: str) -> None:
    network, images = load_model("digits"), load_data("digits").test.first(64).floats().numpy()
    simulation = Simulation(dt_tau=1.0, linear=linear)
    ours = settled(network, images, duration_tau=30.0, simulation=simulation, batch_size=8)
    theirs = to_digital(network, steps=30).settle(images, trace=True)
    for mine, expected in zip(ours.trace, theirs.trace, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_all_digits_rest_at_the_fixed_point_of_torch() -> None:
    network, images = load_model("digits"), load_data("digits").test.floats().numpy()
    simulation = Simulation(dt_tau=0.5, linear="operator")
    found = settled(network, images, duration_tau=60.0, simulation=simulation, batch_size=60)
    assert worst(found.states, fixed_point(network, images)) < 1e-6


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="cython needs a C++ compiler")
@pytest.mark.parametrize("scheme", [Rate(), SigmaDelta()])
def test_cython_computes_what_numpy_does(scheme: Scheme) -> None:
    network, images = mixed_network(), random_images((2, 7, 6), 2, 8)
    ours, theirs = (
        settled(network, images, duration_tau=4.0, scheme=scheme, simulation=Simulation(target=target))
        for target in ("cython", "numpy")
    )
    for mine, expected in zip(ours.trace, theirs.trace, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-7)
