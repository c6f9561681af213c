"""One point of a sweep is run: what a worker does, in whatever process and on whatever computer."""

from __future__ import annotations

import contextlib
import time
import traceback
from dataclasses import asdict
from typing import Literal

import torch

from bench.sweeps.commands import COMMANDS
from bench.sweeps.devices import cuda_devices, pin
from bench.sweeps.place import MOST_DEATHS, Place
from bench.sweeps.points import Point
from models.files.provenance import now, this_program

Outcome = Literal["done", "failed", "elsewhere"]


def work(place: Place, point: Point, session: str) -> Outcome:
    """Run a point unless it is done, or another process is at it; rows and errors go into the folder.

    `session` tells beginnings of this start of the sweep from those of an earlier one, which was killed.
    """
    torch.set_num_threads(1)  # the workers share the cores
    with place.claim(point.key) as ours:
        if not ours:
            return "elsewhere"
        if place.file("rows", point.key).exists():
            return "done"
        deaths = place.begun(point.key, session)
        if deaths >= MOST_DEATHS:
            return _fail(place, point, f"its worker died {deaths} times: killed, or out of memory")
        try:
            with (
                place.file("logs", point.key).open("w", encoding="utf-8") as log,
                contextlib.redirect_stdout(log),
                contextlib.redirect_stderr(log),
            ):
                return _run(place, point)
        except Exception as error:
            # whatever is wrong with one point, the others go on
            return _fail(place, point, f"{type(error).__name__}: {error}", traceback.format_exc())


def _run(place: Place, point: Point) -> Outcome:
    if point.config.run.device == "cuda":  # cuda:N is that one, whoever else uses it
        pin(place.folder / "claims", cuda_devices())
    start = time.monotonic()
    kept = place.folder / "kept" / (point.shared if point.command == "bench.run" else point.key)
    kept.mkdir(parents=True, exist_ok=True)
    rows = list(COMMANDS[point.command].rows(point.config, kept, place.answers))
    values = {
        "command": point.command,
        "coordinates": point.coordinates,
        "rows": rows,
        "seconds": time.monotonic() - start,
        "date": now(),
        "made_by": asdict(this_program()),
    }
    place.put("rows", point.key, values)
    place.file("failed", point.key).unlink(missing_ok=True)
    return "done"


def _fail(place: Place, point: Point, error: str, trace: str | None = None) -> Outcome:
    values = {"command": point.command, "coordinates": point.coordinates, "error": error, "traceback": trace}
    place.put("failed", point.key, {**values, "date": now(), "made_by": asdict(this_program())})
    return "failed"
