"""What `pip install .` installs, and that it runs without the source tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path
from zipfile import ZipFile

import pytest

from models.files.provenance import PROJECT, project_version

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "hw", "mapping", "models")
DATA = (
    "*.py",
    "*.toml",
    "*.c",
    "*.h",
    "zoo/*.json",
    "zoo/resistive/*.json",
    "*.safetensors",
    "py.typed",
    "controls/*.json",
    "corruptions/*.json",
    "page/*.html",
)
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made by the pinned build backend from a copy of what is under version control."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    assert f'requires = ["setuptools=={version("setuptools")}"]' in (source / "pyproject.toml").read_text()
    subprocess.run([sys.executable, "-c", BUILD, str(made)], cwd=source, check=True, capture_output=True)
    (file,) = made.iterdir()
    return file


def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for pattern in DATA
        for path in (ROOT / package).rglob(pattern)
        if "results" not in path.parts
    }
    assert found == expected
    assert {"models/zoo/digits.safetensors", "models/zoo/digits.json", "models/recipes/digits.toml"} <= found
    assert {f"{package}/py.typed" for package in PACKAGES} <= found


def test_what_was_installed_does_the_main_job_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    with ZipFile(wheel) as archive:  # pure Python: installing is unpacking
        archive.extractall(installed)
    elsewhere.mkdir()
    libraries = Path(str(distribution("numpy").locate_file("")))
    # -S: no .pth file may put the source tree, installed editable, on the path
    python = [sys.executable, "-S"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(libraries)])}
    where = "import bench, hw, mapping, models; print(*(m.__file__ for m in (bench, hw, mapping, models)), sep='\\n')"
    versions = "from models.files.provenance import project_version; print(project_version())"
    told = subprocess.run(
        [*python, "-c", f"{where}; {versions}"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert all(Path(file).is_relative_to(installed) for file in told[:-1])
    assert told[-1] == project_version()
    job = "-m bench.run --backend torch --quick --output run --disturbances gaussian-0.1"
    done = subprocess.run(
        [*python, *job.split()], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert [(row["backend"], row["precision"]) for row in rows] == [("torch", "float")]
    assert all(row["accuracy"] > 0.9 for row in rows)
    assert json.loads((elsewhere / "run" / "env.json").read_text())["commit"] is None


def test_the_version_is_that_of_the_project_file(wheel: Path) -> None:
    assert wheel.name == f"{PROJECT.replace('-', '_')}-{project_version()}-py3-none-any.whl"


@pytest.mark.slow
def test_an_empty_environment_takes_the_wheel_and_does_the_main_job(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "environment" / "bin" / "python"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for command in (
        ["uv", "venv", "--python", sys.executable, str(python.parents[1])],
        ["uv", "pip", "install", "--python", str(python), str(wheel)],
    ):
        subprocess.run(command, cwd=elsewhere, check=True, capture_output=True)
    job = [str(python), "-m", "bench.run", "--backend", "lava", "--quick", "--output", "run", "--disturbances"]
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(job, cwd=elsewhere, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout.splitlines()[-1])["rows"]) == 4
