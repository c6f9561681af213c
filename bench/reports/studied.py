"""A finished study of robustness, as it lies in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.command_line import ConfigError
from bench.records.robust_row import RobustRow
from bench.records.rows_file import read_rows
from bench.robustness.suites import WORST


@dataclass(frozen=True)
class Studied:
    """One network: its rows, and how far the nearest wrong answer is to first order."""

    rows: list[RobustRow]
    reach: dict[str, float]

    @property
    def name(self) -> str:
        """Of the network."""
        return self.rows[0].model

    def worst(self, norm: str, eps: float) -> RobustRow | None:
        """What no attack brought down."""
        found = [row for row in self.rows if (row.attack, row.norm, row.eps) == (WORST, norm, eps)]
        return found[0] if found else None


def read_study(folder: Path) -> Studied:
    """A finished run; ConfigError names what is missing."""
    try:
        rows = [RobustRow.from_json(row) for row in read_rows(folder / "rows.jsonl")]
        kept = json.loads((folder / "checks.json").read_text(encoding="utf-8"))
        return Studied(rows, kept["reach"])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} holds no finished run of bench.robustness: {error}") from error


def one_per_network(studies: Sequence[Studied]) -> list[Studied]:
    """Each network once: attacks of its first study, and natural corruptions, at the severities of that study, of the
    one that corrupted the most images."""
    by_name: dict[str, list[Studied]] = {}
    for study in studies:
        by_name.setdefault(study.name, []).append(study)
    return [replace(first, rows=_most_corrupted([first, *others])) for first, *others in by_name.values()]


def _most_corrupted(studies: Sequence[Studied]) -> list[RobustRow]:
    """The rows of the first study, each corruption in the one of them that corrupted the most images."""
    found = [row for study in studies for row in study.rows if row.severity is not None]
    most = {_corruption(row): row for row in sorted(found, key=lambda row: row.images)}
    return [row if row.severity is None else most[_corruption(row)] for row in studies[0].rows]


def _corruption(row: RobustRow) -> tuple[str, str, int | None]:
    return row.machine, row.attack, row.severity


def balls_of(studies: Sequence[Studied]) -> list[tuple[str, float]]:
    """(norm, eps) that all of them were attacked in."""
    every = [[(row.norm, row.eps) for row in study.rows if row.attack == WORST] for study in studies]
    return [(norm, eps) for norm, eps in every[0] if norm and eps and all((norm, eps) in one for one in every)]
