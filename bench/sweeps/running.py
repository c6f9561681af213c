"""A sweep is run, until every point is finished or has failed, and says meanwhile how far it is."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Sequence
from functools import partial

from bench.sweeps.executors import Run
from bench.sweeps.place import Place
from bench.sweeps.points import Point
from bench.sweeps.work import work

WATCH_S, WAIT_S = 2.0, 0.5


def run_points(place: Place, points: Sequence[Point], run: Run) -> None:
    """Run every point that is not finished, until each is finished or has failed, here or in another process."""
    session = uuid.uuid4().hex
    for point in points:
        place.file("failed", point.key).unlink(missing_ok=True)  # tried again
    with Watch(place, points, session):
        while left := unfinished(place, points):
            answers = run(partial(work, place, session=session), left)
            if answers and all(answer == "elsewhere" for answer in answers):
                time.sleep(WAIT_S)  # other processes are at the last ones


def unfinished(place: Place, points: Sequence[Point]) -> list[Point]:
    """Points that are neither finished nor have failed."""
    ended = place.keys("rows") | place.keys("failed")
    return [point for point in points if point.key not in ended]


class Watch(threading.Thread):
    """Says on stderr how far a sweep is, from what is in its folder: whoever runs it. A context manager."""

    def __init__(self, place: Place, points: Sequence[Point], session: str) -> None:
        super().__init__(daemon=True)
        self.place, self.keys, self.session = place, {point.key for point in points}, session
        self.over, self.start_s = threading.Event(), time.monotonic()
        self.before = len(self.keys & place.keys("rows"))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()
        self.say()

    def run(self) -> None:
        """Say it again when something has changed."""
        said = ""
        while not self.over.wait(WATCH_S):
            said = self.say(said)

    def say(self, said: str = "") -> str:
        """A line, unless it was `said`; without the time that is left, which always changes."""
        done, failed = len(self.keys & self.place.keys("rows")), len(self.keys & self.place.keys("failed"))
        left = len(self.keys) - done - failed
        running = len(self.place.running(self.session) & self.keys)
        line = f"{done} of {len(self.keys)} points done, {running} running, {failed} failed"
        if line != said:
            made = max(done - self.before + failed, 0)
            rest = f", about {(time.monotonic() - self.start_s) / made * left:,.0f} s left" if made and left else ""
            print(line + rest, file=sys.stderr, flush=True)
        return line
