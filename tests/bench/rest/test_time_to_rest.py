"""How long circuits take to rest: the contract of `python -m bench.rest`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.rest import __main__ as rest


def test_one_network_comes_to_rest_and_the_document_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "made" / "rest.json"
    options = ["--model", "digits", "--images", "2", "--dt-tau", "1", "--duration-tau", "40", "--output", str(file)]
    rest.main(options)
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert json.loads(file.read_text(encoding="utf-8")) == document
    (one,) = document["rest"]
    assert one["model"] == "digits"
    assert 0.5 * one["predicted_tau"] < one["mean_tau"] <= one["max_tau"] < 40
    assert 0.5 < one["radius"] <= one["radius_max"] < 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "digit"], "--model 'digit' is unknown (nearest: digits)"),
        (["--images", "0"], "--images is 0, must be at least 1"),
        (["--model", "digits", "--dt-tau", "2"], "dt_tau is 2, must be at most 1"),
    ],
)
def test_what_cannot_be_measured_is_named(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rest.main(options)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
