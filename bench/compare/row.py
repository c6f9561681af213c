"""One line of the comparison: a network on a platform under one rule of stopping, with what it takes by one profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.compare.courses import BOUNDS, Paid, Stopped
from bench.compare.stopping import Array, Kind
from bench.machines.backend import RowKey
from bench.records.statistics import accuracy_interval

Way = Literal["settles", "one pass"]
ALL = "all steps"
"""The rule of those that never stop early."""


@dataclass(frozen=True)
class Platform:
    """A machine in a number format, priced by a profile."""

    backend: str
    precision: str
    profile: str
    batch: int = 1
    """Images that share what is fetched once for all of them."""

    @property
    def name(self) -> str:
        """What tables and pictures call it."""
        known = NAMES.get((self.profile, self.precision)) or NAMES.get((self.profile, ""))
        shared = f", {self.batch} at once" if self.batch > 1 else ""
        return f"{known or f'{self.backend} {self.precision}, {self.profile}'}{shared}"


NAMES: Mapping[tuple[str, str], str] = {
    ("horowitz2014-45nm", ""): "processor, 45 nm",
    ("roofline-h200", ""): "GPU (H200)",
    ("davies2018", "fixed"): "Loihi 1 simulated, states",
    ("davies2018", "delta"): "Loihi 1 simulated, changes",
    ("davies2018", "spikes"): "Loihi 1 simulated, spikes",
    ("sanafe", "fixed"): "Loihi 1, states",
    ("sanafe", "delta"): "Loihi 1, changes",
    ("sanafe", "spikes"): "Loihi 1, spikes",
    ("loihi2", "fixed"): "Loihi 2*, states",
    ("loihi2", "delta"): "Loihi 2*, changes",
    ("hermes-14nm", ""): "PCM crossbar, HERMES 14 nm",
    ("aimc-28nm", ""): "PCM crossbar, AIMC 28 nm",
    ("isaac-32nm", ""): "PCM crossbar, ISAAC 32 nm",
    ("settling-circuit", ""): "resistors, 28 nm ends",
    ("accumulate-45nm", ""): "spikes as additions, 45 nm",
    ("spinnaker", ""): "SpiNNaker, spikes",
    ("spinnaker2", ""): "SpiNNaker 2, spikes",
}
"""By profile and precision; the star of Loihi 2 says that its joules are those of Loihi 1."""
SHOWN = ("roofline-h200", "sanafe", "loihi2", "hermes-14nm", "aimc-28nm", "settling-circuit")
"""Profiles whose dots are in the pictures; tables have all."""


@dataclass(frozen=True)
class CompareRow:
    """Modelled, all of it but the accuracy; what was measured stands in rows of its own (`bench.compare.measured`)."""

    network: str
    way: Way
    platform: str
    backend: str
    precision: str
    profile: str
    batch: int
    rule: str
    threshold: float | None
    images: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    energy_j: dict[str, float]
    """Mean of an image: low, nominal, high."""
    latency_s: dict[str, float] | None
    """The same; None where no published figure says."""
    per_image: dict[str, dict[str, float]]
    """Median and 95th percentile over images, of nominal figures: steps or settle_s, energy_j, latency_s."""
    correct_j: dict[str, float]
    """Joules of a correct answer: those of all images over the right ones."""
    energy_delay_js: dict[str, float] | None
    """Mean joules times mean seconds, low times low and so on."""
    breakdown_j: dict[str, float]
    """Where nominal joules go."""
    note: str = ""
    robust: dict[str, float] = field(default_factory=dict)
    """Accuracy left by the worst of the attacks of kept rows of bench.robustness, by ball; of the same machine."""

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


def rows_of(network: str, way: Way, key: RowKey, stopped: Stopped, rule: str) -> list[CompareRow]:
    """One row per profile that has a price, of a network that ran image by image under one rule."""
    own: dict[str, Array] = {"steps": stopped.stops.astype(np.float64)}
    if stopped.times_s is not None:
        own = {"settle_s": stopped.times_s[stopped.stops - 1]}
    threshold = None if rule == ALL else stopped.rule.threshold
    return [
        row_of(network, way, Platform(key.backend, key.precision, profile), (rule, threshold), stopped.right, paid, own)
        for profile, paid in stopped.paid.items()
    ]


def row_of(
    network: str,
    way: Way,
    platform: Platform,
    rule: tuple[str, float | None],
    right: NDArray[np.bool_],
    paid: Paid,
    also: Mapping[str, Array] | None = None,
) -> CompareRow:
    """A row from which images were right and what each took; `also` are figures of each image of no range."""
    images, hits = len(right), int(right.sum())
    energy, latency = _mean(paid.energy_j), None if paid.latency_s is None else _mean(paid.latency_s)
    spread = {name: _spread(values) for name, values in (also or {}).items()}
    spread["energy_j"] = _spread(paid.energy_j[:, 1])
    if paid.latency_s is not None:
        spread["latency_s"] = _spread(paid.latency_s[:, 1])
    share = hits / images
    return CompareRow(
        network=network,
        way=way,
        platform=platform.name,
        backend=platform.backend,
        precision=platform.precision,
        profile=platform.profile,
        batch=platform.batch,
        rule=rule[0],
        threshold=rule[1],
        images=images,
        accuracy=share,
        accuracy_ci95=accuracy_interval(hits, images),
        energy_j=energy,
        latency_s=latency,
        per_image=spread,
        correct_j={bound: joules / share for bound, joules in energy.items()} if hits else {},
        energy_delay_js=None if latency is None else {bound: energy[bound] * latency[bound] for bound in BOUNDS},
        breakdown_j=dict(paid.breakdown_j),
        note=paid.note,
    )


def rule_name(kind: Kind) -> str:
    """As a row has it."""
    return "fixed steps" if kind == "steps" else kind


def _mean(values: Array) -> dict[str, float]:
    return {bound: float(values[:, index].mean()) for index, bound in enumerate(BOUNDS)}


def _spread(values: Array) -> dict[str, float]:
    return {"median": float(np.median(values)), "p95": float(np.quantile(values, 0.95))}
