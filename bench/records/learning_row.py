"""A row of a learning study: what one machine, or one die, learnt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pydantic import TypeAdapter, with_config

from bench.machines.backend import LearningKey
from bench.records.row import SCHEMA, Count, Share, check_known, take_schema
from models.files.provenance import Provenance
from models.files.typed import STRICT, read_json

LearningCurve = dict[str, Any]
"""accuracy: before and after every epoch; what else was counted: one entry per epoch."""
SCORES = "scores"
"""Of a curve that is not yet part of a row: class scores (N, classes), "before" and "after"; rows keep them beside."""


@with_config(STRICT)
@dataclass(frozen=True)
class LearningRow:
    """One machine in one study. What a study does not have is None."""

    learn: str
    """The study: repair, scratch or beta."""
    backend: str
    precision: str
    seed: int
    images: Count
    """Test images."""
    update: str | None = None
    """How a change is written."""
    point: dict[str, Any] | None = None
    die: int | None = None
    """From 1."""
    model: str | None = None
    """The trained network, of studies that begin with one."""
    float_accuracy: Share | None = None
    """Of that network, without a die."""
    damage: dict[str, Any] | None = None
    """What is wrong with the die, beside its point."""
    arms: dict[str, LearningCurve] | None = None
    """Of a repair: every way."""
    curve: LearningCurve | None = None
    """Of learning from scratch."""
    cosines: list[dict[str, Any]] | None = None
    """Of the sweep of beta: remedy, beta, phases, cosine by link."""
    answers: str | None = None
    """Digest of the scores before and after of every curve, kept beside the rows (`bench.records.answers`): "before",
    "after", of a repair "EP on the die, before" and so on; None in older rows, and where nothing is answered."""
    learnt: str | None = None
    """File, within the folder of the run, of what was learnt."""
    device: str | None = None
    """What torch computed it on: cpu, or the name of the graphics board; None in older rows."""
    made_by: Provenance | None = None
    """The program; None in rows of version 1 and 2."""
    date: str | None = None
    """When it was finished, UTC; None likewise."""

    @property
    def key(self) -> LearningKey:
        """What identifies it in a run folder."""
        return LearningKey(self.backend, self.precision, self.update, self.point, self.die)

    @property
    def name(self) -> str:
        """What tables call it."""
        parts = (self.backend, self.precision, self.update, None if self.die is None else f"die {self.die}")
        return " ".join(part for part in parts if part is not None)

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
        """A row of a file; versions 1 and 2 are the same. ValueError names another version, or what is wrong."""
        values = dict(values)
        take_schema(values)
        check_known(values, {entry.name for entry in fields(LearningRow)})
        row = read_json(LEARNING_ROW, json.dumps(values))
        for curve in row.curves():
            if not _is_curve(curve):
                raise ValueError(
                    f"a curve has accuracy {curve.get('accuracy')!r}, expected a list of shares from 0 to 1"
                )
        return row


LEARNING_ROW = TypeAdapter(LearningRow)


def _is_curve(curve: LearningCurve) -> bool:
    """Whether it has accuracies, one at least."""
    shares = curve.get("accuracy")
    return (
        isinstance(shares, list)
        and bool(shares)
        and all(type(share) in (int, float) for share in shares)
        and all(0 <= share <= 1 for share in shares)
    )
