"""What `import hw`, `models` and `mapping` offer, and what that costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

PACKAGES = ("hw", "hw.crossbar", "mapping", "models")
HEAVY = ("torch", "lava", "scipy", "sklearn", "matplotlib")


def loaded_by(*statements: str) -> set[str]:
    """Of the heavy libraries, those that a new interpreter has after these statements."""
    script = "; ".join(["import sys", *statements, "print(*{name.partition('.')[0] for name in sys.modules})"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & set(HEAVY)


def test_importing_the_packages_loads_nothing_heavy() -> None:
    names = (*PACKAGES, "bench")
    assert loaded_by(f"import {', '.join(names)}") == set()
    assert loaded_by("from hw import Circuit, Ledger, Machine, Settled") == set()


def test_networks_data_and_mapping_load_no_lava() -> None:
    assert "lava" not in loaded_by("from models import *", "from mapping import *", "from hw.crossbar import *")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_the_one_of_its_module(name: str) -> None:
    package = import_module(name)
    assert sorted(package.HOMES) == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for public, home in package.HOMES.items():
        assert getattr(package, public) is getattr(import_module(f"{name}.{home}"), public)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("name", PACKAGES)
def test_types_come_from_where_the_names_do(name: str) -> None:
    """What type checkers and editors read is what is imported."""
    file = Path(import_module(name).__file__)
    (typed,) = (
        node
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    homes = {alias.name: part.module for part in typed.body for alias in part.names}
    assert homes == {public: f"{name}.{home}" for public, home in import_module(name).HOMES.items()}
    assert (Path(import_module(name.partition(".")[0]).__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_is_also_a_module(name: str) -> None:
    """Importing such a module would put it in the place of the name."""
    package = import_module(name)
    folder = Path(package.__file__).parent
    assert not {path.stem for path in folder.iterdir()} & set(package.__all__)
