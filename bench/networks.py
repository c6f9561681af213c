"""Networks that the benchmark knows by name: those of the zoo, and the controls beside them."""

from __future__ import annotations

from models.controls import FOLDER, control_names
from models.files.checkpoint import SUFFIX
from models.zoo import model_names


def network_names() -> tuple[str, ...]:
    """The zoo first."""
    return (*model_names(), *control_names())


def checkpoint_name(name: str) -> str:
    """By what `models.zoo.manifests` finds the manifest of a network: its name in the zoo, or its file."""
    return str(FOLDER / f"{name}{SUFFIX}") if name in control_names() else name
