"""The zoo: trained networks that come with this program, each NAME.safetensors with a manifest NAME.json of its making.

network = load_model("digits")
"""

from __future__ import annotations

from pathlib import Path

from models.ep.network import EPNetwork
from models.files.checkpoint import SUFFIX, load_network
from models.files.tensorfile import is_of
from models.resistive.equivalent import equivalent
from models.resistive.files import KEY, load_resistive
from models.zoo.resistive import load_circuit, resistive_names

FOLDER = Path(__file__).parent


def zoo_names() -> tuple[str, ...]:
    """Names of the EP networks, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def model_names() -> tuple[str, ...]:
    """All names that `load_model` knows: EP networks, then the resistive ones."""
    return (*zoo_names(), *resistive_names())


def load_model(name_or_path: str) -> EPNetwork:
    """The network of the zoo with that name, or the one in a .safetensors file of `models.train`; of a resistive
    network its equal (`models.resistive.equivalent`).

    Raises:
        ValueError: neither a name of the zoo nor a path that ends in .safetensors; the message lists the names.
        CheckpointError: the file is missing, damaged or foreign.
    """
    if name_or_path in zoo_names():
        return load_network(FOLDER / f"{name_or_path}{SUFFIX}")
    if name_or_path in resistive_names():
        return equivalent(load_circuit(name_or_path))
    if not name_or_path.endswith(SUFFIX):
        names = ", ".join(model_names())
        raise ValueError(f"model {name_or_path!r} is neither in the zoo ({names}) nor a path to a {SUFFIX} file")
    if is_of(Path(name_or_path), KEY):
        return equivalent(load_resistive(Path(name_or_path)))
    return load_network(Path(name_or_path))
