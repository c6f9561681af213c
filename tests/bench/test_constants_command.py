"""`python -m bench.constants`."""

from __future__ import annotations

import csv
import io
import json

import pytest

from bench.constants import COLUMNS, main
from hw.cost.constants import TABLE


def test_csv_holds_every_constant_as_it_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == sum(map(len, TABLE.values()))
    for row in rows:
        constant = TABLE[row["group"]][row["name"]]
        figures = tuple(float(row[end]) for end in ("low", "nominal", "high"))
        assert figures == (constant.low, constant.nominal, constant.high)
        assert (row["unit"], row["kind"], row["source"]) == (constant.unit, constant.kind, constant.source)


def test_filters_are_and_between_and_or_within(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--group", "davies2018", "sanafe", "--find", "SYNAPSE", "--kind", "fitted", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert {row["group"] for row in found} == {"sanafe"}
    assert len(found) == sum("synapse" in name for name in TABLE["sanafe"])


def test_text_names_constant_range_and_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    main(["--group", "davies2018", "--find", "synapse_energy"])
    out = capsys.readouterr().out
    assert "davies2018.synapse_energy" in out
    assert "23.6 pJ" in out
    assert "35.5 pJ" in out
    assert "Table 2" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--group", "davis2018"], "--group 'davis2018' is unknown (nearest: davies2018)"),
        (["--kind", "guessed"], "--kind 'guessed' is unknown"),
        (["--find", "unobtainium"], "no constant passes"),
    ],
)
def test_what_there_is_not_is_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
