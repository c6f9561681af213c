"""Rows that more than one program made are told apart."""

from __future__ import annotations

from bench.records.row import Row
from bench.reports.provenance import mixed
from models.files.provenance import Provenance, this_program

OLD, NEW = Provenance("0.1.0", "abc", "111"), Provenance("0.1.0", "abc-dirty", "222")


def row(backend: str, program: Provenance | None, date: str | None) -> Row:
    return Row(backend, "float", "digits", "digits", 0, made_by=program, date=date)


def test_rows_of_one_program_need_no_word() -> None:
    assert mixed([]) == mixed([row("torch", OLD, "1"), row("lava", OLD, "2")]) == []


def test_rows_of_two_programs_are_told_apart() -> None:
    rows = [row("torch", OLD, "2026-01-01"), row("lava", NEW, "2026-01-03"), row("crossbar", NEW, "2026-01-02")]
    first, *told = mixed(rows)
    assert "More than one program" in first
    assert told == [
        "  0.1.0 (commit abc, source 111), 2026-01-01 to 2026-01-01: torch float (1 of 3 rows).",
        "  0.1.0 (commit abc-dirty, source 222), 2026-01-02 to 2026-01-03: lava float, crossbar float (2 of 3 rows).",
    ]
    assert "an earlier version: torch float" in "".join(mixed([row("torch", None, None), rows[1]]))


def test_this_program_is_known_by_its_source() -> None:
    program = this_program()
    assert len(program.source) == 12
    assert program.version in program.words
