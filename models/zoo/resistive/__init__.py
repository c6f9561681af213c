"""Trained resistive networks that come with this program, each NAME.safetensors with a manifest NAME.json.

circuit = load_circuit("drn-digits")
"""

from __future__ import annotations

from pathlib import Path

from models.files.checkpoint import SUFFIX
from models.resistive.files import load_resistive
from models.resistive.network import DeepResistive

FOLDER = Path(__file__).parent


def resistive_names() -> tuple[str, ...]:
    """The names `load_circuit` knows, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def load_circuit(name_or_path: str) -> DeepResistive:
    """The resistive network of that name, or the one in a .safetensors file of `models.resistive`.

    Raises:
        ValueError: neither a name of the zoo nor a path that ends in .safetensors; the message lists the names.
        CheckpointError: the file is missing, damaged or foreign.
    """
    if name_or_path in resistive_names():
        return load_resistive(FOLDER / f"{name_or_path}{SUFFIX}")
    if not name_or_path.endswith(SUFFIX):
        names = ", ".join(resistive_names())
        raise ValueError(
            f"model {name_or_path!r} is neither a resistive network ({names}) nor a path to a {SUFFIX} file"
        )
    return load_resistive(Path(name_or_path))
