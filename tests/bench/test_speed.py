"""The contract of `python -m bench.speed`; figures are measured there and never asserted here."""

from __future__ import annotations

import json
import sys

import pytest

from bench import speed


def test_unknown_name_exits_2_and_lists_the_choices(monkeypatch, capsys):
    for given in ([], ["warp"], ["lava", "again"]):
        monkeypatch.setattr(sys, "argv", ["bench.speed", *given])
        with pytest.raises(SystemExit) as stopped:
            speed.main()
        assert stopped.value.code == 2
        assert "choices are lava" in capsys.readouterr().err


@pytest.mark.slow
def test_lava_is_timed_beside_torch_and_stock_lava(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.speed", "lava"])
    speed.main()
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert document["name"] == "lava"
    assert set(document["seconds"]) == {"torch", "lava_float", "lava_fixed", "lava_delta", "stock_lava"}
    seconds, ratios = document["seconds"], document["ratios"]
    for case in ("lava_float", "lava_fixed", "lava_delta"):
        assert ratios[f"{case}_over_torch"] == pytest.approx(seconds[case] / seconds["torch"])
    assert ratios["stock_lava_over_lava"] == pytest.approx(seconds["stock_lava"] / seconds["lava_float"])
