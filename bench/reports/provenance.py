"""Rows that more than one program made, told in reports and on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from models.files.provenance import Provenance


class Made(Protocol):
    """A row."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def made_by(self) -> Provenance | None:
        """The program; None in rows of before rows said so."""

    @property
    def date(self) -> str | None:
        """When it was finished."""


def mixed(rows: Sequence[Made]) -> list[str]:
    """Which program made which rows, one line each, under a line that says so; nothing where one made all."""
    by_program: dict[Provenance | None, list[Made]] = {}
    for row in rows:
        by_program.setdefault(row.made_by, []).append(row)
    if len(by_program) < 2:
        return []
    told = []
    for program, group in by_program.items():
        names = ", ".join(dict.fromkeys(row.name for row in group))
        dates = sorted(row.date for row in group if row.date)
        when = f", {dates[0]} to {dates[-1]}" if dates else ""
        words = "an earlier version" if program is None else program.words
        told.append(f"  {words}{when}: {names} ({len(group)} of {len(rows)} rows).")
    return ["- More than one program made these rows: the code was changed before the run went on.", *told]
