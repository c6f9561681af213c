"""Options, networks and batches that cannot be, refused before anything is built."""

from __future__ import annotations

import builtins
import re
import sys
from typing import Any

import numpy as np
import pytest
from helpers.learning_examples import example
from helpers.random_nets import mixed_network, random_images

from hw.brian import machine as brian_machine
from hw.brian.loading import load_brian
from hw.brian.machine import Brian
from hw.brian.memory import bytes_of
from hw.brian.options import Imperfections, Rate, RateCoding, SigmaDelta, Simulation
from mapping.circuit import circuit_of
from mapping.machines import to_brian
from models.zoo import load_model


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Simulation(tau_s=-1e-3), "tau_s is -0.001, must be a finite number above 0"),
        (lambda: Simulation(tau_s=float("nan")), "tau_s is nan"),
        (lambda: Simulation(dt_tau=0.0), "dt_tau is 0.0, must be a finite number above 0"),
        (lambda: Simulation(linear="matrix"), "linear 'matrix' is unknown, choices are synapses, operator"),
        (lambda: Simulation(target="c"), "target 'c' is unknown, choices are numpy, cython"),
        (lambda: SigmaDelta("analog"), "payload 'analog' is unknown, choices are graded, unit"),
        (lambda: SigmaDelta("graded", 2.0), "threshold is 2.0, must be at most 1: states lie in [0, 1]"),
        (lambda: SigmaDelta("graded", 0.1, -1.0), "fall_tau is -1.0, must be a finite number above 0"),
        (lambda: RateCoding(spikes_per_tau=0), "spikes_per_tau is 0, must be a finite number above 0"),
        (lambda: Imperfections(latency_s=-1.0), "latency_s is -1.0, must be a finite number from 0"),
        (lambda: Imperfections(threshold_mismatch=0.5), "threshold_mismatch is 0.5, must be at most 0.3"),
        (
            lambda: Imperfections(latency_s=2e-3, refractory_s=1e-3),
            "refractory period must be at least the latency",
        ),
    ],
)
def test_an_option_that_cannot_be_is_named_with_its_value(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        make()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"simulation": Simulation(dt_tau=1.5)}, "dt_tau is 1.5, must be at most 1: beyond one tau a step overshoots"),
        (
            {"simulation": Simulation(dt_tau=0.2), "scheme": RateCoding(20)},
            "dt_tau is 0.2, must be at most 0.05: a neuron sends one spike a step at most",
        ),
        ({"duration_tau": 0.1}, "duration_tau is 0.1, must be finite and at least one step, 0.2"),
        ({"duration_tau": float("inf")}, "duration_tau is inf"),
        ({"batch_size": 0}, "batch_size is 0, must be at least 1"),
        ({"tolerance": 1.0}, "tolerance is 1.0, must be in [0, 1)"),
        ({"imperfections": Imperfections(membrane_noise=0.1)}, "rate neurons send no spikes that these would change"),
    ],
)
def test_a_machine_that_cannot_be_says_why(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        to_brian(mixed_network(), **{"duration_tau": 10.0, **options})


def test_max_pooling_is_refused_by_the_name_of_its_link() -> None:
    with pytest.raises(ValueError, match="link1 pools by maxima: a synapse in Brian sums"):
        to_brian(example("max pool"), duration_tau=5.0)


def test_a_batch_that_does_not_fit_is_refused_with_the_one_that_would(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, images = circuit_of(load_model("digits")), random_images((1, 8, 8), 40, 0)
    free = bytes_of(circuit, Simulation(), 7, 50)
    machine = Brian(circuit, duration_tau=10.0, batch_size=40, free_bytes=free + 1)
    built: list[str] = []
    monkeypatch.setattr(brian_machine, "Network", lambda *_: built.append("network"))
    with pytest.raises(
        MemoryError, match=r"40 images side by side in Brian need .* GB .* is free: a batch of 7 would fit"
    ):
        machine.settle(images)
    with pytest.raises(MemoryError, match="not even one would fit; as operators"):
        Brian(circuit, duration_tau=10.0, free_bytes=1e6).settle(images)
    assert built == []


def test_without_brian_the_extra_is_named_and_all_else_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "brian2":
            raise ModuleNotFoundError("No module named 'brian2'", name="brian2")
        return genuine(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "brian2.only", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'ep-hardware[brian]'")):
        load_brian()
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'ep-hardware[brian]'")):
        to_brian(mixed_network(), duration_tau=5.0)


def test_cython_without_a_compiler_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    load_brian()
    from brian2.codegen.runtime.cython_rt import CythonCodeObject

    monkeypatch.setattr(CythonCodeObject, "is_available", classmethod(lambda _: False))
    with pytest.raises(ValueError, match=re.escape("no working C++ compiler here: install one (g++), or choose numpy")):
        to_brian(mixed_network(), duration_tau=5.0, simulation=Simulation(target="cython"))


def test_a_run_leaves_preferences_and_warnings_of_the_process_as_they_were() -> None:
    brian, hook = load_brian(), sys.excepthook
    brian.prefs.codegen.target = "cython"
    try:
        with to_brian(mixed_network(), duration_tau=1.0, scheme=Rate()) as machine:
            machine.settle(np.zeros((1, 2, 7, 6)))
        assert brian.prefs.codegen.target == "cython"
    finally:
        brian.prefs.codegen.target = "numpy"
    assert sys.excepthook is hook
    assert brian.BrianLogger.tmp_log is None
