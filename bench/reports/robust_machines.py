"""What machines leave of a network's robustness: one line for each network and machine of several studies."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records.robust_row import RobustRow
from bench.reports.format import NOTHING, markdown, percent
from bench.reports.studied import Studied
from bench.robustness.suites import CLEAN, LOOP, PGD_, SQUARE, STRONGEST, TO_THE_END

Shown = tuple[str, str, float]
"""An attack, and the ball it was made in."""
Seen = dict[tuple[str, int | None], int]
"""Images of every corruption at a severity."""
Machine = tuple[str, str]
"""A network, and what it ran on."""


def machines_table(studies: Sequence[Studied]) -> list[str]:
    """Markdown. Attacks to the end, made on the float network and shown to each machine; the mean of natural
    corruptions, of the images and severities that all machines of the network were shown. Of several studies of the
    same network on the same machine the first one stands."""
    every = [_shown(row) for study in studies for row in study.rows if row.attack in TO_THE_END]
    columns = sorted(dict.fromkeys(every), key=lambda one: TO_THE_END.index(one[0]))
    by_machine = _by_machine(studies)
    lines = []
    for (network, machine), rows in by_machine.items():
        clean = next(row for row in rows if row.attack == CLEAN)
        found = {_shown(row): row for row in rows if row.attack in TO_THE_END}
        cells = [_score(found[column]) if column in found else NOTHING for column in columns]
        corrupted = [_corruptions(found) for (name, _), found in by_machine.items() if name == network]
        fewest = min(filter(None, corrupted), key=lambda seen: sum(seen.values()), default={})
        lines.append([network, machine, str(clean.images), _score(clean), *cells, _corrupted(rows, fewest)])
    names = [f"{'' if attack == STRONGEST else _kind(attack)}{norm} {eps:.3g}" for attack, norm, eps in columns]
    return markdown(["network", "machine", "images", "clean %", *names, "corrupted %"], lines)


def loops_table(studies: Sequence[Studied]) -> list[str]:
    """Markdown. One machine in the loop of the attack, by scores averaged over so many draws, or asked alone; beside
    it what attacks on the float network leave of the same images there."""
    by_machine = _by_machine(studies)
    found = {
        (of, ball): [row for row in rows if row.threat == LOOP and (row.norm, row.eps) == ball]
        for of, rows in by_machine.items()
        for ball in dict.fromkeys((row.norm, row.eps) for row in rows if row.threat == LOOP)
    }
    ways = [name for _, name in sorted({_way(row) for rows in found.values() for row in rows})]
    lines = []
    for ((network, machine), (norm, eps)), rows in found.items():
        transferred = next(row for row in by_machine[network, machine] if _shown(row) == (STRONGEST, norm, eps))
        same = _share(transferred, rows[0].images)
        by_way = {_way(row)[1]: f"{100 * row.accuracy:.0f}" for row in rows}
        cells = [by_way.get(way, NOTHING) for way in ways]
        lines.append([network, machine, f"{norm} {eps:.3g}", str(rows[0].images), f"{100 * same:.0f}", *cells])
    return markdown(["network", "machine", "ball", "images", "shown %", *ways], lines)


def _by_machine(studies: Sequence[Studied]) -> dict[Machine, list[RobustRow]]:
    """Rows of the float network or of a machine, of the first study that has them."""
    found: dict[Machine, list[RobustRow]] = {}
    for study in studies:
        groups: dict[tuple[str, ...], list[RobustRow]] = {}
        for row in (row for row in study.rows if row.model == study.name):
            # an attack in the loop is on one of the dies that were shown the others
            of = (study.name, f"{row.backend} {row.precision}", str(row.point))
            groups.setdefault(of, []).append(row)
        for (network, *_), rows in groups.items():
            machine = next(row.machine for row in rows if row.attack == CLEAN)
            found.setdefault((network, machine.removeprefix("crossbar analog, ")), rows)
    return found


def _corruptions(rows: Sequence[RobustRow]) -> Seen:
    """What these were shown."""
    return {(row.attack, row.severity): row.images for row in rows if row.severity is not None}


def _corrupted(rows: Sequence[RobustRow], seen: Seen) -> str:
    """Of the first images of each corruption, as many as the machine that was shown the fewest has seen."""
    found = [row for row in rows if (row.attack, row.severity) in seen]
    if not found:
        return NOTHING
    shares = [_share(row, seen[row.attack, row.severity]) for row in found]
    return f"{100 * sum(shares) / len(shares):.1f} ({min(seen.values())})"


def _share(row: RobustRow, images: int) -> float:
    """Right of the first so many images; of all of them as it was measured, which letters round."""
    return row.accuracy if images == row.images else float(row.right[:, :images].mean())


def _shown(row: RobustRow) -> Shown:
    return row.attack, row.norm or "", row.eps or 0.0


def _kind(attack: str) -> str:
    return attack.removesuffix("to the end")


def _way(row: RobustRow) -> tuple[int, str]:
    """How often a machine answers an attacker in the loop, and in words; integers answer the same every time."""
    if row.attack == SQUARE:
        return row.budget or 0, f"{row.budget} queries %"
    assert row.attack == PGD_, row.attack
    draws = (row.gradient or "").rpartition("mean of ")[2]
    return (int(draws), f"in the loop, mean of {draws} %") if draws.isdigit() else (1, "in the loop, mean of 1 %")


def _score(row: RobustRow) -> str:
    return percent(row.accuracy, row.accuracy_ci95)
