"""A row of a learning study: what one machine, or one die, learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bench.machines.backend import LearningKey
from bench.records.row import SCHEMA

LearningCurve = dict[str, Any]
"""accuracy: before and after every epoch; what else was counted: one entry per epoch."""


@dataclass(frozen=True)
class LearningRow:
    """One machine in one study. What a study does not have is None."""

    learn: str
    """The study: repair, scratch or beta."""
    backend: str
    precision: str
    seed: int
    images: int
    """Test images."""
    update: str | None = None
    """How a change is written."""
    point: dict[str, Any] | None = None
    die: int | None = None
    """From 1."""
    model: str | None = None
    """The trained network, of studies that begin with one."""
    float_accuracy: float | None = None
    """Of that network, without a die."""
    damage: dict[str, Any] | None = None
    """What is wrong with the die, beside its point."""
    arms: dict[str, LearningCurve] | None = None
    """Of a repair: every way."""
    curve: LearningCurve | None = None
    """Of learning from scratch."""
    cosines: list[dict[str, Any]] | None = None
    """Of the sweep of beta: remedy, beta, phases, cosine by link."""
    learnt: str | None = None
    """File, within the folder of the run, of what was learnt."""

    @property
    def key(self) -> LearningKey:
        """What identifies it in a run folder."""
        return LearningKey(self.backend, self.precision, self.update, self.point, self.die)

    def at(self, axis: str) -> Any:
        """Where it stands on one axis of the machine's sweep."""
        return (self.point or {})[axis]

    def curves(self) -> list[LearningCurve]:
        """Everything that was learnt in it."""
        return [*(self.arms or {}).values(), *([] if self.curve is None else [self.curve])]

    def to_json(self) -> dict[str, Any]:
        """JSON types, without what the study does not have."""
        always = {"update", "point", "die"}
        values = {name: value for name, value in asdict(self).items() if value is not None or name in always}
        return {"schema": SCHEMA, **values}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> LearningRow:
        """A row of a file; version 1 had no number and is the same. ValueError names another version or field."""
        values = dict(values)
        version = values.pop("schema", 1)
        if version not in (1, SCHEMA):
            raise ValueError(f"a row has schema {version!r}, this program reads 1 and {SCHEMA}")
        known = {entry.name for entry in fields(LearningRow)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise ValueError(f"a row has {', '.join(unknown)}, known are {', '.join(sorted(known))}")
        return LearningRow(**values)
