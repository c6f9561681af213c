"""How far a run is: a bar on a terminal, a line per finished row in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import Progress as Bar


class Progress:
    """Counts units of work on stderr; use as a context manager."""

    def __init__(self, title: str, total: int) -> None:
        self.total, self.done, self.start = max(total, 1), 0, time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.bar = Bar(console=Console(stderr=True), disable=not self.terminal, transient=True)
        self.task = self.bar.add_task(title, total=self.total)

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.bar.stop()

    def advance(self, what: str) -> None:
        """A unit of work begins."""
        self.done += 1
        self.bar.update(self.task, description=what, advance=1)

    def note(self, what: str) -> None:
        """The unit goes on."""
        self.bar.update(self.task, description=what)

    def finished(self, row: str) -> None:
        """A row is finished: in a log, a line with the time that is left at the pace so far."""
        if self.terminal:
            return
        spent = time.monotonic() - self.start
        left = spent * max(self.total - self.done, 0) / max(self.done, 1)
        print(f"{row} finished after {spent:.0f} s, about {left:.0f} s left", file=sys.stderr, flush=True)
