"""A row of a run: what one machine answered, how well, and at what cost, per image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import TypeAdapter, with_config

from bench.machines.backend import RowKey
from bench.records.statistics import estimate_of_student
from models.files.provenance import Provenance
from models.files.typed import STRICT, read_json

SCHEMA = 4
"""Version of rows. 1 had no number and kept what only crossbars tell beside all else; 2 did not say what made them; in
3 intervals of dies left out that images are a sample as well."""
KNOWN_SCHEMAS = (1, 2, 3, SCHEMA)
Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(1)]
WATCHED = "seen"
"""Of a block: what single neurons did, which pictures are drawn from and nothing else."""
BLOCKS_OF_1 = {"crossbar": ("accuracy_by_die", "dies", "tiles")}
"""Which fields of version 1 belong into the block of a machine."""


@with_config(STRICT)
@dataclass(frozen=True)
class Row:
    """One machine in one number format, at one point of its sweep. A figure that was not measured is None."""

    backend: str
    precision: str
    model: str
    data: str
    seed: int
    point: dict[str, Any] | None = None
    """Of the machine's sweep."""
    images: Count | None = None
    """Test images; None where nothing was run, since the sources say nothing about this point."""
    accuracy: Share | None = None
    accuracy_ci95: tuple[Share, Share] | None = None
    """95 %; of dies with what the choice of images adds (`bench.records.statistics`)."""
    robust: dict[str, Share] = field(default_factory=dict)
    """Accuracy by disturbance."""
    robust_ci95: dict[str, tuple[Share, Share]] = field(default_factory=dict)
    against_float: dict[str, Any] | None = None
    """Difference of accuracy to torch float on the same images, paired: `difference` and `ci95`; None of itself, and
    where answers were not kept."""
    answers: str | None = None
    """Digest of what was answered to each image, kept beside the rows (`bench.records.answers`); None in older rows."""
    steps: float | None = None
    """Mean over images; None on machines without a clock."""
    rest_s: float | None = None
    """Mean time to rest, seconds of the machine's own; None on machines with a clock."""
    residual: dict[str, float] | None = None
    """Largest change of a state in the last step: median, p95 and max over images."""
    coding: str | None = None
    """Which of `synops` were on the wire; None where nothing is sent."""
    synops: dict[str, float] | None = None
    """Synaptic operations per image under each coding; None where they are not counted."""
    neurobench: dict[str, float] | None = None
    """Footprint, sparsities and operations per image under NeuroBench's names (`bench.records.neurobench`); None where
    nothing is sent, and in older rows."""
    energy_j: dict[str, Any] = field(default_factory=dict)
    """Modelled joules per image: low, nominal, high, and the profile they are of."""
    energy_measured_j: float | None = None
    latency_s: dict[str, Any] = field(default_factory=dict)
    """Seconds per image: measured; modelled low, nominal, high, and the profile they are of."""
    wall_s_per_image: float | None = None
    """Of this computer, in a batch."""
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Modelled costs by profile."""
    unpriced: dict[str, str] = field(default_factory=dict)
    """Why a profile has no price."""
    by_step: dict[str, list[Any]] | None = None
    """Accuracy after every step, or time, and what each step consumed: what figures draw."""
    details: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What only one machine tells, under its name (`Backend.block`)."""
    device: str | None = None
    """What torch computed it on: cpu, or the name of the graphics board; None in older rows."""
    made_by: Provenance | None = None
    """The program; None in rows of version 1 and 2."""
    date: str | None = None
    """When it was finished, UTC; None likewise."""

    @property
    def key(self) -> RowKey:
        """What identifies it in a run folder."""
        return RowKey(self.backend, self.precision, self.point)

    @property
    def name(self) -> str:
        """What tables and legends call it; where every point of a sweep has a column of its own, with its values."""
        name = f"{self.backend} {self.precision}"
        if self.point is None or self.backend == "crossbar":
            return name
        values = (f"{axis.split('_')[-1]} {value}" for axis, value in self.point.items())
        return f"{name}, {', '.join(values)}"

    def at(self, axis: str) -> Any:
        """Where it stands on one axis of its sweep; KeyError on a machine that is not swept."""
        return (self.point or {})[axis]

    @property
    def crossbar(self) -> dict[str, Any]:
        """The block of a crossbar: accuracy_by_die, dies, tiles; KeyError on other machines."""
        return self.details["crossbar"]

    def to_json(self) -> dict[str, Any]:
        """JSON types; each block of a machine stands under its own name."""
        values = asdict(self)
        blocks = values.pop("details")
        return {"schema": SCHEMA, **values, **blocks}

    def contract(self) -> dict[str, Any]:
        """As it stands on the last line of a run: names that were once there stay, curves are left to the file."""
        values = self.to_json()
        del values["by_step"]
        blocks = {name: block for of_machine in self.details.values() for name, block in of_machine.items()}
        for name in self.details:
            values[name] = {key: value for key, value in values[name].items() if key != WATCHED}
        blocks.pop(WATCHED, None)
        return {**dict.fromkeys(BLOCKS_OF_1["crossbar"]), **values, **blocks}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Row:
        """A row of a file; one of version 1 is brought up. ValueError names another version or an unknown field."""
        values = dict(values)
        version = take_schema(values)
        if version == 1:
            values = _from_1(values)
        known = {entry.name for entry in fields(Row)} - {"details"}
        blocks = {
            name: values.pop(name) for name in list(values) if name not in known and isinstance(values[name], dict)
        }
        check_known(values, known)
        row = read_json(ROW, json.dumps({**values, "details": blocks}))
        return row if version > 3 else _with_images(row)


ROW = TypeAdapter(Row)


def _with_images(row: Row) -> Row:
    """A row of dies up to version 3, whose intervals were Student's over dies: with what the choice of images adds."""
    dies = max((len(block.get("accuracy_by_die") or ()) for block in row.details.values()), default=0)
    if dies < 2 or row.images is None:
        return row
    images = row.images

    def wider(share: float, interval: tuple[float, float]) -> tuple[float, float]:
        return estimate_of_student(share, interval, dies, images).interval

    clean = row.accuracy_ci95 and wider(row.accuracy or 0.0, row.accuracy_ci95)
    robust = {name: wider(row.robust[name], interval) for name, interval in row.robust_ci95.items()}
    return replace(row, accuracy_ci95=clean, robust_ci95=robust)


def take_schema(values: dict[str, Any]) -> int:
    """Take the version out of a row; ValueError for one that this program does not read."""
    version = values.pop("schema", 1)
    if type(version) is not int or version not in KNOWN_SCHEMAS:
        raise ValueError(f"a row has schema {version!r}, this program reads {', '.join(map(str, KNOWN_SCHEMAS))}")
    return version


def check_known(values: Mapping[str, Any], known: set[str]) -> None:
    """ValueError names what a row has that it should not."""
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"a row has {', '.join(unknown)}, known are {', '.join(sorted(known))}")


def _from_1(values: dict[str, Any]) -> dict[str, Any]:
    """Version 1: a flat row, of which an unpublished one had little but its key."""
    if missing := [name for name in ("backend", "precision") if name not in values]:
        raise ValueError(f"a row lacks {missing[0]}")
    blocks = {}
    for machine, names in BLOCKS_OF_1.items():
        block = {name: values.pop(name, None) for name in names}
        if values["backend"] == machine and block["dies"]:
            blocks[machine] = block
    coding = {"torch": "dense", "crossbar": "dense"}.get(str(values["backend"]))
    coding = coding or ("delta" if values["precision"] == "delta" else "zero_skip")
    return {"coding": coding if values.get("accuracy") is not None else None, **values, **blocks}
