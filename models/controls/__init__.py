"""Controls: networks to compare those of the zoo with, each NAME.safetensors with a manifest NAME.json of its making.

scores = load_control("hw-cifar10-short-twin-0")(images)

They differ from a network of the zoo in one thing each: no feedback and backpropagation in place of equilibrium
propagation (twins, with and without what makes the zoo's smooth), a student of a network at rest, a transformer, and
equilibrium propagation in as few epochs. `models.controls.packed` says how they are kept.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.controls.classifier import FeedForward
from models.controls.packed import KEY as PACKED
from models.controls.packed import load_packed
from models.ep.network import EPNetwork
from models.files.checkpoint import SUFFIX, load_network, manifest_path
from models.files.tensorfile import is_of
from models.files.typed import read_text
from models.vit.network import KEY as TRANSFORMER
from models.vit.network import VisionTransformer, load_transformer
from models.zoo import load_model, model_names

FOLDER = Path(__file__).parent
ONE_PASS = '"evaluation": "one pass upwards'
"""What the manifest of a network without feedback says."""


def control_names() -> tuple[str, ...]:
    """Names of the controls that come with this program, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def load_control(name_or_path: str) -> EPNetwork | FeedForward | VisionTransformer:
    """The control of that name, or the network in a .safetensors file of `models.train`, `models.twin` or `models.vit`.

    A `Classifier`, which gives class scores in one pass, or an `EPNetwork`, which has to settle. A twin is known from
    an `EPNetwork` by the manifest beside it.

    Raises:
        ValueError: neither a name of a control nor a path that ends in .safetensors; the message lists the names.
        CheckpointError: the file is missing, damaged or foreign.
    """
    known = name_or_path in control_names()
    if not known and not name_or_path.endswith(SUFFIX):
        names = ", ".join(control_names())
        raise ValueError(f"control {name_or_path!r} is neither one of {names} nor a path to a {SUFFIX} file")
    path = FOLDER / f"{name_or_path}{SUFFIX}" if known else Path(name_or_path)
    if is_of(path, PACKED):
        return load_packed(path)
    if is_of(path, TRANSFORMER):
        return load_transformer(path)
    network, manifest = load_network(path), manifest_path(path)
    one_pass = manifest.is_file() and ONE_PASS in read_text(manifest).decode("utf-8", errors="replace")
    return FeedForward(network) if one_pass else network


def load_for_machines(name_or_path: str) -> EPNetwork:
    """What machines hold: a network of the zoo, a control, or one in a file; a twin as a network without feedback.

    Raises:
        ValueError: as `load_control`, or a transformer, which machines have no wires for.
    """
    if name_or_path in model_names():
        return load_model(name_or_path)
    made = load_control(name_or_path)
    if isinstance(made, VisionTransformer):
        raise ValueError(f"{name_or_path} is a transformer: machines hold chains of layers only")
    return replace(made.network, feedback=False) if isinstance(made, FeedForward) else made
