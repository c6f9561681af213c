"""What the commands of the benchmark have in common: help, version, refusals by name, the last line."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers.run_calls import call, refused, stopped

from bench import __main__ as bench_index
from bench import learn as bench_learn
from bench import run as bench_run
from bench.command_line import ConfigError, choose, flags_in
from models.ep.network import Dense, build_network
from models.files.checkpoint import save_network
from models.files.provenance import project_version

HEAVY = ("torch", "matplotlib", "art", "sklearn", "lava")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def helped(command: str) -> tuple[list[str], set[str]]:
    """Lines of --help on 100 columns, and the heavy libraries that a new interpreter loads for it."""
    script = (
        f"import sys; from {command} import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    *lines, modules = done.stdout.rstrip().splitlines()
    return lines, set(modules.split()) & set(HEAVY)


@pytest.mark.parametrize(("command", "most"), [("bench.run", 95), ("bench.learn", 108)])
def test_help_fits_a_screen_and_loads_nothing_heavy(command: str, most: int) -> None:
    lines, heavy = helped(command)
    assert heavy == set()
    assert len(lines) <= most
    assert max(map(len, lines)) <= 100
    assert any("--backend" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--backend", "lava", "--chip", "loihi3"], "--chip 'loihi3' is unknown, choices are loihi1, loihi2"),
        (["--backend", "lava", "--chips", "0"], "--chips is 0, must be at least 1"),
        (
            ["--backend", "lava", "--tile-size", "0"],
            "--tile-size is an option of crossbar, which is not among --backend lava",
        ),
        (
            ["--backend", "torch", "lava", "--no-adc-calibration"],
            "--no-adc-calibration is an option of crossbar, which is not among --backend torch lava",
        ),
        (
            ["--backend", "torch", "--delta-threshold", "2"],
            "--delta-threshold is an option of lava, which is not among --backend torch",
        ),
        (["--backend", "torch", "--delta-threshold=2"], "--delta-threshold is an option of lava"),
        (["--backend", "torch", "--delta_threshold", "2"], "--delta-threshold is an option of lava"),
    ],
)
def test_options_of_a_machine_that_does_not_run_are_refused_by_name(options: list[str], says: str) -> None:
    assert says in refused(bench_run, *options)
    assert says in refused(bench_learn, "scratch", *options)


def test_what_does_not_fit_is_refused_with_what_it_needs_and_learning_places_nothing(tmp_path: Path) -> None:
    options, folder = ["--backend", "crossbar", "--tiles", "2"], tmp_path / "run"
    said = stopped(bench_run, *options, "--output", folder)
    assert "the network needs 5 tiles of 256 x 256 weights, which are 1 chip of 64" in said
    assert "--tiles changes nothing here: it needs bench.run" in refused(bench_learn, "scratch", *options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--backend", "lavas"], "--backend 'lavas' is unknown (nearest: lava), choices are torch, lava, crossbar"),
        (["--precision", "flaot"], "--precision 'flaot' is unknown (nearest: float), choices are float, fixed"),
        (["--disturbances", "pgd-linf-0.2"], "(nearest: pgd-linf-0.1)"),
        (["--data", "digit"], "did you mean digits?"),
    ],
)
def test_an_unknown_choice_names_the_nearest(options: list[str], says: str) -> None:
    assert says in refused(bench_run, *options)


def test_a_choice_that_is_near_to_none_names_them_all() -> None:
    with pytest.raises(ConfigError, match=r"^--wires 'x' is unknown, choices are gold, lead$"):
        choose("--wires", "x", ("gold", "lead"))
    choose("--wires", "lead", ("gold", "lead"))


def test_flags_are_found_however_they_are_written() -> None:
    given = ["repair", "--tile_size", "64", "--dies=2", "--no-adc-calibration", "--kelvin", "-5"]
    assert flags_in(given) == ["--tile-size", "--dies", "--no-adc-calibration", "--kelvin"]


@pytest.mark.parametrize(("command", "first"), [(bench_run, []), (bench_learn, ["beta"])])
def test_the_version_is_that_of_the_project(
    command: ModuleType, first: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command.main([*first, "--version"])
    assert capsys.readouterr().out.strip() == project_version()


def test_the_package_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    bench_index.main()
    lines = capsys.readouterr().out.splitlines()
    for name in ("bench.run", "bench.learn", "bench.zoo", "bench.speed", "models.train", "models.twin"):
        assert sum(line.startswith(f"python -m {name} ") for line in lines) == 1


@pytest.mark.parametrize(
    ("command", "options"),
    [(bench_run, []), (bench_learn, ["repair"]), (bench_learn, ["scratch", "--backend", "torch"])],
)
def test_more_images_than_there_are_are_refused_before_a_folder_is_made(
    command: ModuleType, options: list[str], tmp_path: Path
) -> None:
    said = stopped(command, *options, "--limit", 361, "--output", tmp_path / "run")
    assert "--limit is 361, digits has 360 test images" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("shape", "classes", "says"),
    [
        ((1, 6, 8), 10, "reads images of (1, 6, 8), those of digits are (1, 8, 8)"),
        ((1, 8, 8), 7, "tells 7 classes apart, digits has 10"),
    ],
)
@pytest.mark.parametrize(("command", "first"), [(bench_run, []), (bench_learn, ["repair"])])
def test_images_that_the_network_does_not_read_are_refused_by_name(
    command: ModuleType, first: list[str], shape: tuple[int, ...], classes: int, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "other.safetensors"
    save_network(build_network(shape, (Dense(5),), classes, torch.Generator().manual_seed(0)), file)
    said = stopped(command, *first, "--model", file, "--data", "digits", "--output", tmp_path / "run")
    assert str(file) in said
    assert says in said
    assert not (tmp_path / "run").exists()


def printed(stream: io.StringIO, options: Sequence[object]) -> list[str]:
    with redirect_stdout(stream):
        bench_run.main([*map(str, options)])
    return stream.getvalue().rstrip().splitlines()


def test_the_last_line_is_json_in_a_pipe_and_on_a_terminal_if_it_is_asked_for(tmp_path: Path) -> None:
    options = ["--limit", 2, "--steps", 2, "--disturbances", "--output", tmp_path / "run"]
    document = json.loads(printed(io.StringIO(), options)[-1])
    assert document["folder"] == str(tmp_path / "run")
    again = [*options, "--resume"]
    assert json.loads(printed(Terminal(), [*again, "--json"])[-1]) == document
    plain = printed(Terminal(), again)
    assert not any(line.startswith("{") for line in plain)
    assert str(tmp_path / "run") in re.sub("\x1b\\[[0-9;]*m", "", "".join(plain))  # without colours


def test_data_of_ones_own_are_known_by_their_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    labels = np.arange(50) % 10
    np.savez(file, images=np.random.default_rng(0).random((50, 8, 8)), labels=labels)
    options = ["--data", file, "--steps", 2, "--disturbances", "--output", tmp_path / "run"]
    (row,) = call(bench_run, *options)["rows"]
    assert (row["data"], row["images"]) == (str(file), 10)
    np.savez(file, images=np.random.default_rng(1).random((50, 8, 8)), labels=labels)
    assert "data_sha256" in refused(bench_run, *options, "--resume")
