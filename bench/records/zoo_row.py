"""A row of the zoo: a network, as its weights are now, in a number format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, with_config

from bench.records.row import Count, Row
from models.files.provenance import Provenance
from models.files.typed import STRICT, read_json


@with_config(STRICT)
@dataclass(frozen=True)
class ZooRow:
    """What a machine answered, and what the network is."""

    row: Row
    """Entry t - 1 of `by_step` is what T = t steps give and cost: accuracy with Wilson's 95 % interval, and synaptic
    operations per image of all steps up to there."""
    sha256: str
    """Of the checkpoint: a network that was trained again has other rows."""
    step_limit: Count
    network: dict[str, Any]
    """Size, contraction, and room on hardware (`bench.zoo.cards.anatomy`)."""
    feedback: dict[str, Any] | None = None
    """What feedback does in the float network (`models.ep.feedback`); None in rows that are older."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.row.model} {self.row.name}"

    @property
    def made_by(self) -> Provenance | None:
        """The program."""
        return self.row.made_by

    @property
    def date(self) -> str | None:
        """When it was finished."""
        return self.row.date

    @property
    def key(self) -> str:
        """What identifies it in a run folder."""
        return card_key(self.row.model, self.sha256, self.row.key.key)

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        own = {"sha256": self.sha256, "step_limit": self.step_limit, "network": self.network, "feedback": self.feedback}
        return {**self.row.to_json(), **own}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> ZooRow:
        """A row of a file; older ones are brought up. ValueError names another version, or what is wrong."""
        values = {"seed": 0, **values}
        if missing := [name for name in OWN if name not in values]:
            raise ValueError(f"a row of the zoo lacks {missing[0]}")
        own = {name: values.pop(name) for name in OWN} | {"feedback": values.pop("feedback", None)}
        return read_json(ZOO_ROW, json.dumps({"row": asdict(Row.from_json(values)), **own}))


OWN = ("sha256", "step_limit", "network")
ZOO_ROW = TypeAdapter(ZooRow)


def card_key(model: str, sha256: str, key: str) -> str:
    """What identifies a row of a network in a run folder."""
    return json.dumps([model, sha256, key])
