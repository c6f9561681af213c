"""Rows survive a kill at any byte of the last line."""

from __future__ import annotations

import pytest

from bench.records.rows_file import append_row, read_rows

ROWS = [{"backend": "torch", "accuracy": 0.5}, {"backend": "lava", "accuracy": 1.0, "note": "zwölf"}]


def test_rows_come_back_and_a_missing_file_holds_none(tmp_path):
    file = tmp_path / "rows.jsonl"
    assert read_rows(file) == []
    for row in ROWS:
        append_row(file, row)
    assert read_rows(file) == ROWS


def test_a_cut_anywhere_in_the_last_row_drops_that_row_only(tmp_path):
    file = tmp_path / "rows.jsonl"
    for row in ROWS:
        append_row(file, row)
    content = file.read_bytes()
    first = content.index(b"\n") + 1
    for cut in range(first, len(content)):
        file.write_bytes(content[:cut])
        assert read_rows(file) == ROWS[:1]
        assert file.read_bytes() == content[:first], "the half row must be gone, or the next would be glued to it"
        append_row(file, ROWS[1])
        assert read_rows(file) == ROWS


def test_a_damaged_row_in_the_middle_is_an_error_that_names_the_line(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"backend": "torch"}\n{"backend": \n{"backend": "lava"}\n')
    with pytest.raises(ValueError, match="line 2"):
        read_rows(file)
