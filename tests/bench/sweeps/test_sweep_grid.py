"""Grids: what a file may say, and that every point is the run that the whole command line would be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.command_line import ConfigError
from bench.sweeps.commands import COMMANDS
from bench.sweeps.grid import Grid, arguments_of, read_grid
from bench.sweeps.points import points_of

SMALL = {"limit": 2, "steps": 2, "disturbances": []}
VALUES = {
    "noise-scale": [0, 0.5, 2],
    "hours": [0, 24],
    "device-preset": ["pcm-nandakumar-2019", "reram-wan-2022-aihwkit"],
    "seed": [0, 7],
    "tile-size": [64, 256],
    "model": ["digits", "hw-cifar10-small"],
    "offset-correction": [True],
}


@settings(max_examples=4, deadline=None)
@given(st.sets(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
def test_a_point_is_the_run_of_its_command_line(names: set[str]) -> None:
    grid = Grid("bench.run", {"backend": ["crossbar"], **SMALL}, {name: VALUES[name] for name in sorted(names)})
    points = points_of(grid)
    assert len(points) == grid.size == len({point.key for point in points})
    for point in (points[0], points[-1]):
        arguments = arguments_of({**grid.options, **point.coordinates})
        assert point.config == COMMANDS["bench.run"].read(arguments)


def test_a_point_of_a_study_is_the_study_of_its_command_line() -> None:
    grid = Grid("bench.learn repair", {"limit": 2}, {"dies": [1, 3], "epochs": [1, 2]})
    for point in points_of(grid):
        arguments = ["repair", *arguments_of({**grid.options, **point.coordinates})]
        assert point.config == COMMANDS["bench.learn repair"].read(arguments)


BAD = [
    ('commando = "x"', "has the key 'commando', choose from command, options, grid"),
    ('command = "bench.rum"', "command 'bench.rum' is unknown (nearest: bench.run)"),
    ("[grid]", "the grid is empty"),
    ("[grid]\nnoise-scale = []", "grid.noise-scale has no values"),
    ("[grid]\nnoise-scale = [1, 1]", "give each value once"),
    ("[grid]\nnoise-scal = [1]", "option 'noise-scal' is unknown (nearest: noise-scale)"),
    ('[grid]\noutput = ["x", "y"]', "option 'output' is unknown"),
    ("[grid]\nseed = [0, 1]\n[options]\nseed = 1", "seed is in options and in grid"),
    ('[grid]\nmodel = ["digits", "--list"]', "no value of an option"),
    ("[grid]\nquick = [false, true]", "quick is False"),
    ("[grid]\nlimit = [2, 0]", "at limit 0: --limit is 0, must be at least 1"),
    ('[grid]\nmodel = ["digits", "gone"]', "--model 'gone' is neither a file nor in the zoo"),
    ('[grid]\nnoise-scale = [1, 2]\n[options]\nbackend = ["torch"]', "--noise-scale is an option of crossbar"),
    ("[grid]\nseed = [0, 2021-01-01]", "holds a date or a time"),
    ("grid = 1", "grid is 1, expected"),
    ("[grid", "not TOML"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_grid_that_cannot_be_run_is_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "grid.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        points_of(read_grid(file, ()))
    assert said in str(caught.value)


def test_values_of_the_command_line_take_the_place_of_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "grid.toml"
    file.write_text("[options]\nlimit = 2\n[grid]\nseed = [0, 1]\nsteps = [2, 3]", encoding="utf-8")
    grid = read_grid(file, ["seed=5", "limit=3,4", "model=digits"])
    assert grid == Grid("bench.run", {"seed": 5, "model": "digits"}, {"steps": [2, 3], "limit": [3, 4]})
    assert read_grid(file, ["disturbances="]).options == {"limit": 2, "disturbances": []}
    for wrong in ("seed", "=1", "command="):
        with pytest.raises(ConfigError, match="expected key=v1,v2"):
            read_grid(file, [wrong])


@pytest.mark.parametrize(("name", "points"), [("device-noise", 20), ("feedback", 16), ("study", 5)])
def test_ready_grids_can_be_run(name: str, points: int) -> None:
    grid = read_grid(Path(__file__).parents[3] / "bench" / "grids" / f"{name}.toml", ["limit=20"])
    assert len(points_of(grid)) == grid.size == points


def test_another_seed_weight_or_program_is_another_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> set[str]:
        return {point.key for point in points_of(Grid("bench.run", SMALL, {"seed": [0, 1]}))}

    before = keys()
    assert keys() == before
    monkeypatch.setattr("models.zoo.manifests.fingerprint", lambda _: "other weights")
    assert not keys() & before


def test_two_names_of_the_network_that_runs_are_one_run() -> None:
    """Crossbars take the network that was trained with noise, where it is not declined."""
    grid = Grid("bench.run", {"backend": ["crossbar"], **SMALL}, {"model": ["digits", "digits-noise-aware"]})
    with pytest.raises(ConfigError, match="at model digits-noise-aware: the same run as at model digits"):
        points_of(grid)
    assert len(points_of(Grid(grid.command, {**grid.options, "noise-aware": "False"}, grid.grid))) == 2


def test_points_at_which_nothing_is_published_are_left_out_by_name_and_others_stay() -> None:
    devices = ["pcm-nandakumar-2019", "mo-ecram-2019"]
    grid = Grid("bench.run", {"backend": ["crossbar"], **SMALL}, {"device-preset": devices, "hours": [0, 24]})
    left_out: dict[str, str] = {}
    points = points_of(grid, left_out)
    assert [tuple(point.coordinates.values()) for point in points] == [
        *((devices[0], h) for h in (0, 24)),
        (devices[1], 0),
    ]
    ((words, why),) = left_out.items()
    assert words == "device-preset mo-ecram-2019, hours 24"
    assert "for mo-ecram-2019 retention is published for 0 s to 0 s only" in why
    with pytest.raises(ConfigError, match="at device-preset mo-ecram-2019, hours 24"):
        points_of(grid)
    wrong = Grid(grid.command, {**grid.options, "dies": 0}, grid.grid)
    with pytest.raises(ConfigError, match="--dies is 0"):
        points_of(wrong, {})
