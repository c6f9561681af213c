"""`python -m bench.constants`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

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


def test_own_constants_are_shown_beside_the_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '[mine]\nlike = "sanafe"\n[mine.hop_ew_energy]\nnominal = 9e-12\nunit = "J"\nsource = "our own, page 4"\n'
    file = tmp_path / "mine.toml"
    file.write_text(text)
    main(["--constants", str(file), "--group", "mine", "--find", "hop_ew_energy", "--format", "json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["group"], row["nominal"], row["source"]) == ("mine", 9e-12, "our own, page 4")
    file.write_text(text.replace('unit = "J"\n', ""))
    with pytest.raises(SystemExit) as stopped:
        main(["--constants", str(file)])
    assert stopped.value.code == 2
    assert "mine.hop_ew_energy has no unit" in capsys.readouterr().err
