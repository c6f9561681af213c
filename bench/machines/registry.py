"""Every machine the benchmark can run on, one entry each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.machines.backend import Backend, RowKey
from bench.machines.brian import BrianBackend
from bench.machines.crossbar import CrossbarBackend
from bench.machines.lava import LavaBackend
from bench.machines.resistive import ResistiveBackend
from bench.machines.torch import TorchBackend

BACKENDS: dict[str, type[Backend]] = {
    kind.name: kind for kind in (TorchBackend, LavaBackend, CrossbarBackend, BrianBackend, ResistiveBackend)
}

REFERENCE = RowKey("torch", "float")
"""Stands first in every run."""


def backend_of(name: str) -> type[Backend]:
    """The machine of that name; ValueError lists those there are."""
    if name not in BACKENDS:
        raise ValueError(f"backend {name!r} is unknown, choices are {', '.join(BACKENDS)}")
    return BACKENDS[name]


def row_keys(names: Sequence[str], precisions: Sequence[str], machines: Mapping[str, Backend]) -> tuple[RowKey, ...]:
    """Every row of a run, the float reference first; a machine that is swept has one for every point.

    Without precisions the reference machine runs in float, and every other one in all that it has but those on request.
    """
    keys = [REFERENCE]
    for name in names:
        machine = machines[name]
        usual = tuple(one for one in machine.precisions if one not in machine.on_request)
        formats = precisions or ((REFERENCE.precision,) if name == REFERENCE.backend else usual)
        keys += [
            RowKey(name, precision, point)
            for precision in formats
            if precision in machine.precisions
            for point in machine.points()
        ]
    return tuple(dict.fromkeys(keys))
