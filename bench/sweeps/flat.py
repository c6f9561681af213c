"""The rows of a sweep as flat dictionaries, for pandas, a notebook or a table.

import pandas
from bench.sweeps import rows

table = pandas.DataFrame(rows("results/device-noise"))
print(table.pivot_table("accuracy", "device_preset", "noise_scale"))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.sweeps.place import Place

CURVES = ("by_step", "arms", "curve", "cosines", "dies")
"""What is no single figure, and stays in the files."""


def rows(folder: str | Path) -> list[dict[str, Any]]:
    """One dictionary per row of every finished point: its coordinates, with underscores in their names, then figures.

    Nested ones have dots, `energy_j.nominal`; what was not measured is None. ConfigError names a damaged file.
    """
    place = Place(Path(folder))
    return rows_at(place, sorted(place.keys("rows")))


def rows_at(place: Place, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Those of some finished points."""
    made = [place.get("rows", key) for key in keys]
    return [{**_where(point), **flattened(row), **_learnt(row)} for point in made for row in point["rows"]]


def _where(point: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): _plain(value) for name, value in point["coordinates"].items()}


def _learnt(row: Mapping[str, Any]) -> dict[str, float]:
    """Accuracies at the end of learning: of the curve, or of every arm of a repair."""
    curve, arms = row.get("curve"), row.get("arms") or {}
    ends = {} if curve is None else {"accuracy": curve["accuracy"][-1]}
    return {**ends, **{f"accuracy.{name}": arm["accuracy"][-1] for name, arm in arms.items()}}


def flattened(values: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names; curves are left out."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name in CURVES:
            continue
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{under}{name}.")
        else:
            flat[f"{under}{name}"] = _plain(value)
    return flat


def _plain(value: Any) -> Any:
    """Lists as text: a cell of a table holds one value."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
