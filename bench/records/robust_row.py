"""A row of a robustness study: one attack, or natural corruption, of one network on one machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, with_config

from bench.records.row import SCHEMA, Count, Share, check_known, take_schema
from models.files.provenance import Provenance
from models.files.typed import STRICT, read_json


@with_config(STRICT)
@dataclass(frozen=True)
class RobustRow:
    """What is left of the accuracy. What an attack does not have is None."""

    model: str
    data: str
    seed: int
    backend: str
    precision: str
    attack: str
    threat: str
    """What the attacker knows and may do (`bench.robustness.suites`)."""
    images: Count
    accuracy: Share
    accuracy_ci95: tuple[Share, Share]
    clean: Share
    """Accuracy on the same images as they are, of the same machine."""
    feedback: bool
    """False of twins, and where it was cut."""
    norm: str | None = None
    eps: float | None = None
    gradient: str | None = None
    severity: int | None = None
    """Of natural corruptions."""
    budget: int | None = None
    """Steps, queries or draws."""
    starts: int | None = None
    """Of attacks that begin more than once, at the clean image first."""
    queries: float | None = None
    """Times the network was asked, per image."""
    zero_slopes: Share | None = None
    """Share of gradients that were zero everywhere."""
    outside: float | None = None
    """How far the furthest image lies beyond the ball or the range: 0."""
    same_wrong: Share | None = None
    """Of a transfer: of the images that the attacked network answers wrong, the share that this one answers by the same
    wrong class; by chance it would be an eighth or so of ten classes. Near 1, the attack has changed what is seen."""
    draws: int | None = None
    """Fresh draws that every image was judged by."""
    dies: int | None = None
    point: dict[str, Any] | None = None
    """Of the machine's sweep."""
    answers: str | None = None
    """Which images are answered right, one character each: X or 0; of several draws and dies the tenths of them, to the
    nearest (rounded down in older rows), 0 to 9 and X."""
    device: str | None = None
    """What torch computed it on: cpu, or the name of the graphics board; None in older rows."""
    made_by: Provenance | None = None
    date: str | None = None

    @property
    def key(self) -> str:
        """The same for the same row, whatever run it belongs to."""
        parts = (self.model, self.backend, self.precision, self.attack, self.threat, self.norm, self.eps, self.gradient)
        return json.dumps([*parts, self.severity, self.budget, self.point])

    @property
    def machine(self) -> str:
        """What answered: the machine, or the dies of a point of its sweep."""
        where = f"{self.backend} {self.precision}"
        if self.point is None:
            return where
        dies = self.dies or 1
        return f"{where}, {dies} {'die' if dies == 1 else 'dies'} of {point_words(self.point)}"

    @property
    def right(self) -> NDArray[np.float64]:
        """(1, N) how often each image was answered right, from `answers`."""
        letters = self.answers or ""
        return np.array([[1.0 if letter == "X" else int(letter) / 10 for letter in letters]])

    @property
    def words(self) -> str:
        """What it is of, in a few words."""
        kind = f"severity {self.severity}" if self.norm is None else f"{self.norm} {self.eps:.4g}"
        where = f"{self.model} on {self.backend} {self.precision}"
        return f"{self.attack}, {kind}, {where}" if self.norm or self.severity else f"clean images, {where}"

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return {"schema": SCHEMA, **asdict(self)}

    def contract(self) -> dict[str, Any]:
        """What the last line of a command says of it."""
        return {name: value for name, value in asdict(self).items() if name not in ("answers", "made_by", "date")}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> RobustRow:
        """A row of a file; ValueError says what is wrong."""
        values = dict(values)
        take_schema(values)
        check_known(values, {entry.name for entry in fields(RobustRow)})
        return read_json(ROBUST_ROW, json.dumps(values))


def point_words(point: Mapping[str, Any]) -> str:
    """A point of a sweep of dies: its device and age, and what is not as usual."""
    words = [f"{point.get('device', point.get('resistor'))}, {point.get('hours', point.get('resistor_hours')):g} h"]
    noise = point.get("noise_scale", point.get("resistor_noise", 1.0))
    words += [f"noise x {noise:g}"] if noise != 1 else []
    unusual = {"adc_bits": (8, "{}-bit converters"), "tile_size": (256, "tiles of {}"), "offset_mv": (0, "{} mV")}
    return ", ".join(
        words + [text.format(point[key]) for key, (usual, text) in unusual.items() if point.get(key, usual) != usual]
    )


ROBUST_ROW: TypeAdapter[RobustRow] = TypeAdapter(RobustRow)
