"""Whatever the benchmark runs on is held to what all machines promise."""

from __future__ import annotations

import pytest
from helpers.machines import MACHINES

from bench.machines.registry import BACKENDS, backend_of


def test_every_machine_of_the_benchmark_is_in_the_suite_of_all_machines():
    offered = {f"{name} {precision}" for name, backend in BACKENDS.items() for precision in backend.precisions}
    assert offered <= set(MACHINES)


def test_an_unknown_machine_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="backend 'nest' is unknown, choices are torch, lava, crossbar, brian"):
        backend_of("nest")
