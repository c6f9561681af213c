"""How fast a sweep makes rows: `python -m bench.speed sweep`."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from bench.speed.timing import Speed, check_counts
from bench.sweeps.executors import executor
from bench.sweeps.grid import Grid
from bench.sweeps.place import Place
from bench.sweeps.points import Point, points_of
from bench.sweeps.running import run_points

WARM = 4
"""Points by which every worker has loaded what it needs before the clock starts."""


def speed_sweep(points: int = 24, images: int = 40, steps: int = 40, workers: int = 2) -> Speed:
    """Rows of digits on a noisy die, by one worker and by several, once they are loaded.

    seconds: per row, by the wall clock: it needs an idle computer. Ratio: rows a minute of several over one. `overhead`
    is what a row takes beyond its own work, with one worker: claims, files, scheduling.
    """
    check_counts(points=points, images=images, steps=steps, workers=workers)
    fixed = {"backend": ["crossbar"], "dies": 1, "limit": images, "steps": steps, "disturbances": []}
    made = points_of(Grid("bench.run", fixed, {"seed": list(range(WARM * workers + points))}))
    warm, timed = made[: WARM * workers], made[WARM * workers :]
    alone, own = _seconds(warm, timed, 1)
    together, _ = _seconds(warm, timed, workers)
    seconds = {"one_worker": alone, f"{workers}_workers": together}
    return Speed(seconds, "per row", {"workers_over_one": alone / together}, {"overhead": alone - own}, clock="wall")


def _seconds(warm: list[Point], timed: list[Point], workers: int) -> tuple[float, float]:
    """Per row: by the clock, and of its own work."""
    with TemporaryDirectory(prefix="ep-speed-") as folder, executor("loky", None, workers) as run:
        place = Place(Path(folder))
        place.make()
        run_points(place, warm, run)
        start = time.perf_counter()
        run_points(place, timed, run)
        seconds = time.perf_counter() - start
        own = fmean(float(place.get("rows", point.key)["seconds"]) for point in timed)
    return seconds / len(timed), own
