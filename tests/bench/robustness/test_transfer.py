"""`python -m bench.robustness.transfer`: images of each network shown to each, held to what the attack itself found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.reports.attacked_networks import draw_side_by_side
from bench.robustness import transfer
from bench.robustness.ball import Ball
from bench.robustness.trials import carry_out

RUN = {"data": None, "seed": 0, "suite": "quick", "steps": 20, "batch_size": 256, "tolerance": None}


def begun(folder: Path, *, model: str = "digits", cut: bool = False, limit: int = 20) -> Path:
    (folder / "trials").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**RUN, "model": model, "cut": cut, "limit": limit}))
    return folder


def test_networks_fall_to_their_own_images_as_the_attack_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, cut = begun(tmp_path / "whole"), begun(tmp_path / "cut", cut=True)
    transfer.main([str(whole), str(cut), "--output", str(tmp_path / "matrix.json")])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == json.loads((tmp_path / "matrix.json").read_text())
    assert [(one["norm"], one["models"]) for one in told] == [
        (norm, ["digits", "digits (cut)"]) for norm in ("L2", "Linf")
    ]
    for number, folder in enumerate((whole, cut)):
        study = transfer.reopened(folder, None)
        for one, trial in zip(told, study.strongest, strict=True):
            fell = carry_out(study.plan, trial, pytest.fail).fell  # all of it was kept
            assert one["accuracy"][number][number] == pytest.approx(1 - float(fell.double().mean()))
            assert one["same_wrong"][number][number] == 1
            other = 20 * one["accuracy"][number][1 - number]
            assert other == pytest.approx(round(other))  # images of the same 20


def test_the_picture_shows_what_brings_each_network_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = [transfer.reopened(begun(tmp_path / name, cut=name == "cut"), None) for name in ("whole", "cut")]
    told: list[Any] = []
    monkeypatch.setattr(transfer, "draw_side_by_side", lambda *given: told.extend(given))
    transfer.draw(studies, tmp_path / "picture.png")
    clean, labels, shown, title, _ = told
    assert labels == list(range(10)), "one image of every class"
    assert title.startswith("L2 4")
    for study, network in zip(studies, shown, strict=True):
        assert network.name == study.model
        assert float(Ball("L2", 4.0).outside(network.images, clean).max()) == 0
        assert network.answers == tuple(study.victim.predict(network.images).argmax(dim=1).tolist())
        assert sum(answer != label for answer, label in zip(network.answers, labels, strict=True)) >= 9
    draw_side_by_side(clean, labels, shown, title, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("others", "said"),
    [((), "1 folders: name two or more"), (({"limit": 30},), "attacked on other images"), (({},), "named twice")],
)
def test_what_cannot_be_compared_is_refused(
    others: tuple[dict[str, int], ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [begun(tmp_path / "0"), *(begun(tmp_path / str(n), **other) for n, other in enumerate(others, start=1))]
    with pytest.raises(SystemExit) as ended:
        transfer.main([str(folder) for folder in folders])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_without_attacked_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun(tmp_path / "run").joinpath("trials").rmdir()
    with pytest.raises(SystemExit) as ended:
        transfer.main([str(tmp_path / "run"), str(tmp_path)])
    assert ended.value.code == 2
    assert "holds no attacked images" in capsys.readouterr().err
