"""The table of several studies, from rows written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from bench.records.robust_row import RobustRow
from bench.records.rows_file import append_row
from bench.records.statistics import difference, estimate
from bench.reports import robust_table
from bench.reports.robust_attacks import attacks_table, corrupted_table
from bench.reports.robust_machines import loops_table, machines_table
from bench.reports.robust_networks import feedback_share
from bench.reports.robust_noise import by_noise
from bench.reports.robust_seeds import by_recipe, recipes_table
from bench.reports.robust_table import differences, smoothness
from bench.reports.studied import Studied, balls_of, one_per_network, read_study
from models.zoo.manifests import manifest_of


def study(folder: Path, model: str, answers: str, reach: float) -> Path:
    """A run of one attack on four images, all of them right before."""
    folder.mkdir()
    right = answers.count("X") / len(answers)
    for attack, share, letters in (("none", 1.0, "X" * len(answers)), ("worst of all", right, answers)):
        row = RobustRow(
            model, "digits", 0, "torch", "float", attack, "white box", 4, share, (0.0, 1.0), 1.0, True,
            norm=None if attack == "none" else "L2", eps=None if attack == "none" else 0.5, answers=letters,
        )  # fmt: skip
        append_row(folder / "rows.jsonl", row.to_json())
    kept = {"checks": [], "reach": {"l2": reach, "linf": reach, "slope_l2": 1.0}}
    (folder / "checks.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def test_networks_are_compared_image_by_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {"one": "XX00", "two": "XXX0", "three": "X000", "four": "XXXX"}
    reaches = {"one": 0.2, "two": 0.3, "three": 0.1, "four": 0.4}
    folders = [study(tmp_path / name, name, answers[name], reaches[name]) for name in answers]
    studies = [read_study(folder) for folder in folders]
    assert balls_of(studies) == [("L2", 0.5)]
    # two is right once more than one, and the intervals of 4 images are wide
    assert differences(studies, studies[0])[2].startswith("| two - one | +25.0 (")
    assert smoothness(studies) == ["L2 0.5: 1.00"]
    robust_table.main([str(folder) for folder in folders])
    printed = capsys.readouterr().out
    assert "| three | 100.0 (0.0-100.0) | 25.0 (0.0-100.0) | - | 0.100 |" in printed
    assert "L2 0.5: 1.00" in printed
    robust_table.main([*map(str, folders), "--against", "two"])
    assert "| one - two | -25.0 (" in capsys.readouterr().out


def test_the_picture_has_every_network_and_the_feedback_of_those_that_were_measured(tmp_path: Path) -> None:
    folders = [
        study(tmp_path / str(number), name, "XX00", 0.2) for number, name in enumerate(("feedback-strong", "mine"))
    ]
    robust_table.main([*map(str, folders), "--picture", str(tmp_path / "networks.png")])
    assert (tmp_path / "networks.png").read_bytes().startswith(b"\x89PNG")
    known, unknown = map(read_study, folders)
    assert feedback_share(known) == max(manifest_of("feedback-strong")["feedback"]["share"]) > 0.35
    assert feedback_share(unknown) is None
    assert feedback_share(Studied([replace(known.rows[0], feedback=False)], known.reach)) == 0


def test_only_networks_that_are_there_are_compared_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        robust_table.main([str(study(tmp_path / "one", "one", "XX00", 0.2)), "--against", "two"])
    assert ended.value.code == 2
    assert "--against 'two' is unknown, choices are one" in capsys.readouterr().err


def test_a_folder_without_a_study_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        robust_table.main([str(tmp_path)])
    assert ended.value.code == 2
    assert "holds no finished run of bench.robustness" in capsys.readouterr().err


def test_machines_stand_below_their_float_network_and_attacks_beside_transfers_of_the_same_images() -> None:
    def row(backend: str, precision: str, attack: str, threat: str, answers: str, **others: Any) -> RobustRow:
        right = answers.count("X") / len(answers)
        ball = {} if attack == "none" else {"norm": "L2", "eps": 0.5}
        return RobustRow(
            "net", "digits", 0, backend, precision, attack, threat, len(answers), right, (0.0, 1.0), 1.0, True,
            answers=answers, **ball, **others,
        )  # fmt: skip

    point = {"device": "pcm", "hours": 1.0}
    rows = [
        row("torch", "float", "none", "natural", "XXXX"),
        row("torch", "float", "PGD to the end", "white box", "X000"),
        row("crossbar", "analog", "none", "natural", "XXX0", dies=3, point=point),
        row("crossbar", "analog", "PGD to the end", "digital twin", "X0X0", dies=3, point=point),
        row("crossbar", "analog", "PGD", "hardware in the loop", "XX", dies=1, point=point, gradient="mean of 1"),
        row("crossbar", "analog", "PGD", "hardware in the loop", "00", dies=1, point=point, gradient="mean of 4"),
    ]
    queries = row("crossbar", "analog", "Square", "hardware in the loop", "X0", dies=1, point=point, budget=200)
    square = row("crossbar", "analog", "Square to the end", "digital twin", "XXX0", dies=3, point=point)
    table = machines_table([Studied([*rows, queries, square], {}), Studied(rows[:2], {})])
    assert table[0] == "| network | machine | images | clean % | L2 0.5 | Square L2 0.5 | corrupted % |"
    assert table[2:] == [
        "| net | torch float | 4 | 100.0 (0.0-100.0) | 25.0 (0.0-100.0) | - | - |",
        "| net | 3 dies of pcm, 1 h | 4 | 75.0 (0.0-100.0) | 50.0 (0.0-100.0) | 75.0 (0.0-100.0) | - |",
    ]
    table = loops_table([Studied(rows, {}), Studied([*rows, queries], {})])
    assert table[0].endswith("| images | shown % | in the loop, mean of 1 % | in the loop, mean of 4 % |")
    assert table[2:] == ["| net | 3 dies of pcm, 1 h | L2 0.5 | 2 | 50 | 100 | 0 |"]
    assert loops_table([Studied([*rows, queries], {})])[2].endswith("| 100 | 0 | 50 |")


def test_attacks_of_a_kind_count_each_image_once_and_kinds_that_nobody_ran_have_no_column() -> None:
    def row(attack: str, answers: str, gradient: str | None = None, **others: Any) -> RobustRow:
        ball = {} if attack == "none" or "severity" in others else {"norm": "L2", "eps": 0.309}
        right = answers.count("X") / len(answers)
        return RobustRow(
            "net", "cifar10", 0, "torch", "float", attack, "white box", len(answers), right, (0.0, 1.0), 0.75, True,
            answers=answers, gradient=gradient, **ball, **others,
        )  # fmt: skip

    rows = [
        row("none", "XXX0"),
        row("PGD", "XX00", "engine"),
        row("PGD to the end", "X0X0", "engine"),
        row("PGD", "XXX0", "implicit"),
        row("APGD-CE", "0XX0", "engine in float32"),
        row("APGD-T", "X0X0", "engine in float32"),
        row("worst of all", "0000"),
        row("fog", "XX00", severity=1),
        row("fog", "X000", severity=5),
        row("frost", "XXX0", severity=1),
        row("frost", "XX00", severity=5),
    ]
    table = attacks_table([Studied(rows, {})])
    assert table[0] == "| network | ball | images | clean % | PGD | PGD, other gradients | Auto-PGD | worst of all |"
    low, high = binomtest(1, 4).proportion_ci(0.95, method="wilson")
    one = f"25.0 ({100 * low:.1f}-{100 * high:.1f})"
    cells = [cell.strip() for cell in table[2].strip("|").split("|")]
    assert cells[:5] == ["net", "L2 0.309", "4", "75.0", one]
    assert [cell.split(" ")[0] for cell in cells[5:]] == ["75.0", "25.0", "0.0"]
    other = [*rows[:-4], row("fog", "XXX0", severity=1), row("fog", "XX00", severity=5), *rows[-2:]]
    table = corrupted_table([Studied(rows, {}), Studied(other, {}), Studied(rows[:-1], {})])
    assert table[2] == "| net | 4 | 75.0 | 50.0 | 1, 5 | 62.5 / 37.5 | - | fog 5: 25.0 |"
    # one more of four answers is right of the second image and of the third
    half = norm.ppf(0.975) * np.std([0, 0.25, 0.25, 0], ddof=1) / 4**0.5
    assert f"| +12.50 +- {100 * half:.2f} | fog 5: 50.0 |" in table[3]
    assert " | - | " in table[4], "not what the first was shown"


def test_dies_of_several_noises_make_a_curve_by_what_they_were_shown() -> None:
    def row(scale: float, attack: str, threat: str, share: float, hours: float = 1.0, **others: Any) -> RobustRow:
        ball = {} if attack == "none" else {"norm": "L2", "eps": 0.309}
        point = {"device": "pcm", "noise_scale": scale, "hours": hours, "adc_bits": 8, "tile_size": 256}
        return RobustRow(
            "net", "cifar10", 0, "crossbar", "analog", attack, threat, 4, share, (share, share), 1.0, True,
            dies=3, point=point, **ball, **others,
        )  # fmt: skip

    rows = [
        row(2.0, "none", "natural", 0.5),
        row(0.0, "none", "natural", 0.9),
        row(0.0, "PGD to the end", "digital twin", 0.4),
        row(2.0, "PGD to the end", "digital twin", 0.3),
        row(0.0, "PGD", "hardware in the loop", 0.35, gradient="mean of 1"),
        row(0.0, "PGD", "hardware in the loop", 0.25, gradient="mean of 16"),
        row(2.0, "PGD", "hardware in the loop", 0.2, gradient="mean of 16"),
        row(1.0, "none", "natural", 0.8, hours=24.0),
        row(2.0, "fog", "natural", 0.1, severity=3),
    ]
    curves = {name: [found.accuracy for found in group] for name, group in by_noise(rows).items()}
    dies = "net, pcm, 1 h"
    assert curves == {
        ("clean", dies): [0.9, 0.5],
        ("L2 0.309, shown", dies): [0.4, 0.3],
        ("L2 0.309, hardware in the loop", dies): [0.25, 0.2],
    }
    assert rows[0].machine == "crossbar analog, 3 dies of pcm, 1 h, noise x 2"
    assert rows[7].machine == "crossbar analog, 3 dies of pcm, 24 h"


def test_a_picture_of_noise_is_drawn_where_there_is_something_to_draw(tmp_path: Path, capsys) -> None:
    folder = study(tmp_path / "one", "one", "XX00", 0.2)
    robust_table.main([str(folder), "--noise", str(tmp_path / "noise.png")])
    assert "no run has dies of several noises" in capsys.readouterr().out
    assert not (tmp_path / "noise.png").exists()
    for scale, share in ((0.5, 0.75), (1.0, 0.5)):
        point = {"device": "pcm", "noise_scale": scale, "hours": 1.0, "adc_bits": 8, "tile_size": 256}
        row = RobustRow(
            "one", "digits", 0, "crossbar", "analog", "none", "natural", 4, share, (0.0, 1.0), share, True,
            answers="XX00", point=point, dies=2,
        )  # fmt: skip
        append_row(folder / "rows.jsonl", row.to_json())
    robust_table.main([str(folder), "--noise", str(tmp_path / "noise.png")])
    assert (tmp_path / "noise.png").read_bytes().startswith(b"\x89PNG")


def test_seeds_of_a_recipe_are_one_line_with_what_seeds_and_images_vary(tmp_path: Path) -> None:
    answers = {
        "ep-0": "XXXX000000", "ep-1": "XXXXXX0000", "ep-2": "XXXXX00000",
        "twin-0": "XX00000000", "twin-1": "XXX0000000", "once-0": "XXXX000000", "zoo": "XXXX000000",
    }  # fmt: skip
    studies = [read_study(study(tmp_path / name, name, letters, 0.2)) for name, letters in answers.items()]
    assert {name: [one.name for one in seeds] for name, seeds in by_recipe(studies).items()} == {
        "ep": ["ep-0", "ep-1", "ep-2"],
        "twin": ["twin-0", "twin-1"],
    }
    right = {name: np.array([[float(letter == "X") for letter in text]]) for name, text in answers.items()}
    ep, twin = (np.concatenate([right[name] for name in right if name.startswith(kind)]) for kind in ("ep", "twin"))
    low, high = estimate(ep).interval
    change, (least, most) = difference(twin, ep)
    table = recipes_table(studies)
    assert table[0] == "| recipe | seeds | clean % | L2 0.5 |"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    assert [line[:2] for line in cells] == [["ep", "3"], ["twin", "2"], ["less ep", ""]]
    assert cells[0][3] == f"50.0 ({100 * low:.1f}-{100 * high:.1f})"
    assert cells[2][3] == f"{100 * change:+.1f} ({100 * least:+.1f} to {100 * most:+.1f})"
    assert change == pytest.approx(0.25 - 0.5)


def test_a_network_stands_once_with_its_first_attacks_and_the_corruptions_of_most_images(tmp_path: Path) -> None:
    first, second = (read_study(study(tmp_path / name, "one", name, 0.2)) for name in ("XX00", "X000"))
    other = read_study(study(tmp_path / "X0", "two", "X0", 0.3))

    def fog(images: int, right: int, severity: int = 3) -> RobustRow:
        return replace(
            first.rows[0], attack="fog", severity=severity, images=images, accuracy=right / images, clean=0.9,
            answers="X" * right + "0" * (images - right),
        )  # fmt: skip

    few = replace(first, rows=[*first.rows, fog(10, 9)])
    many = replace(second, rows=[*second.rows, fog(40, 10), fog(50, 1, severity=5)])
    last = replace(other, rows=[*other.rows, fog(20, 5)])
    one, two = one_per_network([few, last, many])
    assert [row.right.sum() for row in one.rows] == [4, 2, 10]  # severity 5 is nothing that the first study saw
    assert two.rows == last.rows
    assert robust_table.robust_table([one])[2].endswith("| 25.0 of 90.0 (40) | 0.200 |")
    assert robust_table.robust_table([few])[2].endswith("| 90.0 of 90.0 (10) | 0.200 |")
