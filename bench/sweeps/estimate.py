"""How long a sweep will take, before its first row: judged by finished rows, or by a probe, and which."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.run import RunConfig
from bench.sweeps.commands import COMMANDS
from bench.sweeps.place import Place
from bench.sweeps.points import Point

FEW, MORE = 8, 32
"""Images of a probe: the time of a row is taken to be a + b * images."""


@dataclass(frozen=True)
class Estimate:
    """What a point takes."""

    seconds: float | None
    """Of one process; None where there is nothing to judge by."""
    judged_by: str

    def words(self, left: int, workers: int) -> str:
        """Of so many points."""
        if self.seconds is None or not left:
            return self.judged_by
        rounds = -(-left // workers)
        return f"about {self.seconds * rounds:,.0f} s with {workers} processes, judged by {self.judged_by}"


def estimate(place: Place, points: Sequence[Point]) -> Estimate:
    """By rows that are finished, of these points or of others in the folder, else by a probe of the first point."""
    finished = place.keys("rows")
    kept = [point.key for point in points if point.key in finished] or sorted(finished)
    if kept:
        seconds = [float(place.get("rows", key)["seconds"]) for key in kept]
        return Estimate(median(seconds), f"{len(kept)} finished rows")
    return probe(points[0])


def probe(point: Point) -> Estimate:
    """The first point with few images and with more, twice, since the first time loads what a worker loads once."""
    config = point.config
    if not isinstance(config, RunConfig):
        return Estimate(None, f"no row is finished to judge by, and {point.command} cannot be tried on few images")
    images = config.run.shown or _images(config)
    if images <= MORE:
        return Estimate(_timed(point, images), f"a probe of {images} images")
    _timed(point, FEW)
    few, more = _timed(point, FEW), _timed(point, MORE)
    each = max(more - few, 0.0) / (MORE - FEW)
    return Estimate(few + each * (images - FEW), f"a probe of {FEW} and {MORE} images of the first point")


def _images(config: RunConfig) -> int:
    from models.data import load_data
    from models.zoo.manifests import trained_on

    return len(load_data(config.run.data or trained_on(config.run.model), config.run.data_dir).test)


def _timed(point: Point, images: int) -> float:
    config = replace(point.config, run=replace(point.config.run, limit=images))
    with TemporaryDirectory(prefix="ep-probe-") as folder, contextlib.redirect_stderr(io.StringIO()):
        start = time.perf_counter()
        list(COMMANDS[point.command].rows(config, Path(folder), Path(folder)))
        return time.perf_counter() - start
