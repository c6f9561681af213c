"""Devices of one's own, read from a TOML or JSON file.

The keys are those of `Device`, with the unit as suffix; curves, retention and pulses are tables with a `kind`, and
their other keys are the fields of that kind. Conductances that were measured need no law: `points` and `broadening`
take them as they are.

    name = "my-reram"
    source = "measured by us on wafer 7, March 2026"
    g_min_s = 2e-6
    g_max_s = 50e-6
    read_v = 0.2
    read_s = 100e-9
    programming = {kind = "points", g_s = [2e-6, 25e-6, 50e-6], value = [0.5e-6, 1.1e-6, 0.9e-6]}
    fresh = {kind = "constant", value = 0.1e-6}

    [retention]
    kind = "broadening"
    seconds = [1.0, 86400.0]
    sigma = [
        {kind = "points", g_s = [2e-6, 25e-6, 50e-6], value = [0.5e-6, 1.1e-6, 0.9e-6]},
        {kind = "points", g_s = [2e-6, 25e-6, 50e-6], value = [0.8e-6, 1.9e-6, 1.3e-6]},
    ]

`base = "pcm-nandakumar-2019"` starts from a preset: then only `name` and what differs has to be given, a table as a
whole. The laws of a preset were fitted on its range of conductance: a wider one needs laws of its own. With `pulses`,
`voltage_v` and `width_s` give the joules of writing. Every error is a ValueError that names the file, the key, the
value and what was expected.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from hw.crossbar.devices import curves, pulses, retention
from hw.crossbar.devices.device import (
    Curve,
    Device,
    Flicker,
    Nonlinearity,
    PulseResponse,
    Retention,
    Telegraph,
    Temperature,
)
from hw.crossbar.devices.presets import preset

KINDS: dict[type, dict[str, type]] = {
    Curve: {
        "constant": curves.ConstantCurve,
        "polynomial": curves.Polynomial,
        "log-polynomial": curves.LogPolynomial,
        "clamped-log": curves.ClampedLog,
        "clamped-power": curves.ClampedPower,
        "saturating": curves.Saturating,
        "square-root": curves.SquareRoot,
        "piecewise": curves.Piecewise,
        "per-conductance": curves.PerConductance,
        "points": curves.Points,
    },
    Retention: {
        "power-law-drift": retention.PowerLawDrift,
        "broadening": retention.Broadening,
        "log-relaxation": retention.LogRelaxation,
    },
    PulseResponse: {"linear-step": pulses.LinearStep, "exp-step": pulses.ExpStep},
}
"""What can be put where a table has a `kind`."""

TABLES = (Flicker, Telegraph, Nonlinearity, Temperature)
"""Tables of one kind only."""
_MAY_BE_INFINITE = ("low", "high", "longest_s")


def load_device(path: str | Path) -> Device:
    """The device that a .toml or .json file describes.

    Raises ValueError, naming the file and the key, for anything that is not understood or impossible.
    """
    path = Path(path)
    table = _parse(path)
    where = str(path)
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: expected a table of keys, found {type(table).__name__}")
    table = dict(table)
    base = table.pop("base", None)
    if base is None:
        device = _build(Device, table, where, "")
    else:
        if "name" not in table:
            raise ValueError(f"{where}: name is missing: a changed {base!r} needs a name of its own")
        try:
            start = preset(base)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: base: {error}") from None
        changes = _read_fields(Device, table, where, "")
        _check_range(start, changes, where)
        try:
            device = replace(start, **changes)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    _check_spreads(device, where)
    return device


def _parse(path: Path) -> Any:
    if path.suffix not in (".toml", ".json"):
        raise ValueError(f"{path}: a device file ends in .toml or .json")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.loads(text)
        # the parser moved into the standard library in Python 3.11
        return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _build(kind: type, table: Mapping[str, Any], where: str, key: str) -> Any:
    given = _read_fields(kind, table, where, key)
    missing = [
        field.name
        for field in fields(kind)
        if field.name not in given and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise ValueError(f"{where}: {_under(key, missing[0])} is missing")
    try:
        return kind(**given)
    except ValueError as error:
        raise ValueError(f"{where}: {key + ': ' if key else ''}{error}") from None


def _read_fields(kind: type, table: Mapping[str, Any], where: str, key: str) -> dict[str, Any]:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for name in table:
        if name not in names:
            raise ValueError(f"{where}: unknown key {_under(key, name)}; there are: {', '.join(sorted(names))}")
    return {name: _read(hints[name], value, where, _under(key, name)) for name, value in table.items()}


def _read(hint: Any, value: Any, where: str, key: str) -> Any:
    """A value of the type that a field is annotated with."""
    if get_origin(hint) in (Union, UnionType):  # X | None: a file leaves the key out instead of giving None
        (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
    if hint in KINDS or hint in TABLES:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: {key} is {value!r}, expected a table")
        if hint in TABLES:
            return _build(hint, value, where, key)
        choices = KINDS[hint]
        if value.get("kind") not in list(choices):  # what cannot be a key can be looked for in a list
            problem = f"{key}.kind is {value['kind']!r}" if "kind" in value else f"{key}.kind is missing"
            raise ValueError(f"{where}: {problem}; there are: {', '.join(choices)}")
        rest = {name: entry for name, entry in value.items() if name != "kind"}
        return _build(choices[value["kind"]], rest, where, key)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: {key} is {value!r}, expected a list")
        return tuple(_read(get_args(hint)[0], entry, where, f"{key}[{i}]") for i, entry in enumerate(value))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{where}: {key} is {value!r}, expected one of: {', '.join(map(repr, get_args(hint)))}")
        return value
    if hint is float:
        try:
            number = np.nan if isinstance(value, bool | str) else float(value)
        except (TypeError, OverflowError):
            number = np.nan
        if np.isnan(number) or (np.isinf(number) and key.rpartition(".")[2] not in _MAY_BE_INFINITE):
            raise ValueError(f"{where}: {key} is {value!r}, expected a number")
        return number
    if not isinstance(value, hint):
        raise ValueError(f"{where}: {key} is {value!r}, expected {'text' if hint is str else 'true or false'}")
    return value


def _under(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _check_range(start: Device, changes: Mapping[str, Any], where: str) -> None:
    """Laws of a preset hold on the range of conductance of the preset only."""
    laws = ("programming", "fresh", "retention", "flicker", "nonlinearity", "pulses")
    kept = [name for name in laws if getattr(start, name) is not None and name not in changes]
    slack = 1e-9 * (start.g_max_s - start.g_min_s)  # of rounding
    for key, outside in (("g_min_s", -1), ("g_max_s", 1)):
        value = changes.get(key, getattr(start, key))
        if kept and outside * (value - getattr(start, key)) > slack:
            raise ValueError(
                f"{where}: {key} is {value:g} S, outside the {start.g_min_s:g} S to {start.g_max_s:g} S on which the "
                f"laws of {start.name} were fitted: give your own of {', '.join(kept)}"
            )


def _check_spreads(device: Device, where: str) -> None:
    """Laws must exist, and spreads not be negative, wherever the device can be programmed."""
    g_s = np.linspace(device.g_min_s, device.g_max_s, 101)
    if device.nonlinearity is not None:
        # an I-V curve is evaluated where a cell is, and errors carry cells out of the range
        for name, curve in (("second", device.nonlinearity.second), ("third", device.nonlinearity.third)):
            try:
                curve(np.array([0.0, 2 * device.g_max_s]))
            except ValueError as error:
                raise ValueError(
                    f"{where}: nonlinearity.{name}: {error}; errors carry devices there: use outside = 'hold'"
                ) from None
    spreads = {"programming": device.programming, "fresh": device.fresh}
    law = device.retention
    if isinstance(law, retention.PowerLawDrift):
        spreads |= {"retention.nu_mean": law.nu_mean, "retention.nu_sigma": law.nu_sigma}
    if device.flicker is not None:
        spreads["flicker.relative"] = device.flicker.relative
    if isinstance(law, retention.Broadening):
        # default arguments: every function keeps its own index
        spreads |= {f"retention.sigma[{i}]": lambda g, t=t: law.moments(g, t)[1] for i, t in enumerate(law.seconds)}
    for key, curve in spreads.items():
        try:
            sigma = curve(g_s)
        except ValueError as error:
            raise ValueError(f"{where}: {key}: {error}") from None
        wrong = ~(sigma >= 0)
        if wrong.any():
            raise ValueError(
                f"{where}: {key} is {sigma[wrong][0]} at {g_s[wrong][0]} S, but cannot be negative "
                "(a polynomial can be cut off by `low = 0.0`)"
            )
    if isinstance(law, retention.Broadening):
        first, now = law.moments(g_s, law.seconds[0])[1], device.programming(g_s)
        if not np.allclose(first, now, rtol=1e-6, atol=0):
            at = int(np.argmax(np.abs(first - now)))
            raise ValueError(
                f"{where}: programming is {now[at]} S at {g_s[at]} S and retention.sigma[0] {first[at]} S: "
                "broadening starts from the spread of programming"
            )
