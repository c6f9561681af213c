"""A device as the text of a device file: what `load_device` makes the same device of."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from hw.crossbar.devices.device import Device
from hw.crossbar.devices.device_file import KINDS, TABLES

_KIND_OF = {kind: name for kinds in KINDS.values() for name, kind in kinds.items()}


def device_toml(device: Device) -> str:
    """A line per field, in full digits; what is left at its default is left out.

    Raises ValueError for a law that device files have no name for, such as the scaled one of `Device.noisy`.
    """
    return "".join(f"{name} = {_toml(value, name)}\n" for name, value in _given(device))


def _given(table: Any) -> list[tuple[str, Any]]:
    values = [(field, getattr(table, field.name)) for field in fields(table)]
    return [
        (field.name, value)
        for field, value in values
        if value is not None and (field.default is MISSING or value != field.default)
    ]


def _toml(value: Any, key: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one, f'{key}[{k}]') for k, one in enumerate(value))}]"
    if not is_dataclass(value):
        raise ValueError(f"{key} is {value!r}, which a device file cannot hold")
    if type(value) not in (*_KIND_OF, *TABLES):
        raise ValueError(f"{key} is a {type(value).__name__}, kinds are {', '.join(_KIND_OF.values())}")
    kind = [("kind", _KIND_OF[type(value)])] if type(value) in _KIND_OF else []
    cells = [f"{name} = {_toml(one, f'{key}.{name}')}" for name, one in [*kind, *_given(value)]]
    return "{" + ", ".join(cells) + "}"
