"""What machines leave of a network's robustness: one line for each network and machine of several studies."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records.robust_row import RobustRow
from bench.reports.format import NOTHING, markdown, percent
from bench.reports.studied import Studied
from bench.robustness.suites import CLEAN, LOOP, PGD_, STRONGEST, TWIN, WHITE

REFERENCE = ("torch", "float")


def machines_table(studies: Sequence[Studied]) -> list[str]:
    """Markdown. Attacks to the end at the middle radii: made on the float network and shown to the machine, and with
    one machine in the loop, where scores are averaged over most draws; natural corruptions in the mean."""
    lines: list[list[str]] = []
    strongest = [row for study in studies for row in study.rows if row.attack == STRONGEST]
    balls = sorted({(row.norm or "", row.eps or 0.0) for row in strongest})
    for study in studies:
        groups: dict[str, list[RobustRow]] = {}
        for row in study.rows:
            groups.setdefault(f"{row.backend} {row.precision} {row.point}", []).append(row)
        for group in groups.values():
            line = _line(study.name, group, balls)
            if line not in lines:  # the float network stands beside every machine
                lines.append(line)
    heading = ["network", "machine", "clean %"]
    for norm, eps in balls:
        heading += [f"{norm} {eps:.3g}", "in the loop / transferred"]
    heading.append("corrupted %")
    return markdown(heading, lines)


def _line(model: str, rows: Sequence[RobustRow], balls: Sequence[tuple[str, float]]) -> list[str]:
    clean = next(row for row in rows if row.attack == CLEAN)
    cells = []
    for ball in balls:
        transferred = [row for row in rows if _is(row, STRONGEST, (TWIN, WHITE), ball)]
        cells += [_score(transferred), _looped([row for row in rows if _is(row, PGD_, (LOOP,), ball)], transferred)]
    corrupted = [row.accuracy for row in rows if row.severity is not None]
    mean = f"{100 * sum(corrupted) / len(corrupted):.1f}" if corrupted else NOTHING
    return [
        model,
        clean.machine.removeprefix("crossbar analog, "),
        percent(clean.accuracy, clean.accuracy_ci95),
        *cells,
        mean,
    ]


def _is(row: RobustRow, attack: str, threats: tuple[str, ...], ball: tuple[str, float]) -> bool:
    return row.attack == attack and row.threat in threats and (row.norm, row.eps) == ball


def _score(rows: Sequence[RobustRow]) -> str:
    return percent(rows[0].accuracy, rows[0].accuracy_ci95) if rows else NOTHING


def _looped(rows: Sequence[RobustRow], transferred: Sequence[RobustRow]) -> str:
    """Of the last, whose scores were averaged over most draws, beside what was transferred, of the same images."""
    if not rows:
        return NOTHING
    same = float(transferred[0].right[:, : rows[-1].images].mean())
    return f"{100 * rows[-1].accuracy:.0f} / {100 * same:.0f}"
