"""Files of every format that this package writes, read as `Contents`."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mapping.export.folder import MANIFEST, changed_files, read_manifest
from mapping.export.packages import missing_packages
from mapping.inspect.contents import Array, Contents
from mapping.placement.chip import LOIHI_1
from mapping.placement.cores import in_chips, place
from mapping.program import ACCUMULATOR_BITS, ACCUMULATOR_MAX, Program, is_program
from models.ep.network import EPNetwork
from models.files.checkpoint import load_network
from models.zoo import load_model, zoo_names

MAIN_FILES = {"program": "program.safetensors", "onnx": "network.onnx", "nir": "network.nir"}
"""Of the folders of an export, the file that holds the network; of other formats the folder itself does."""


DAMAGED = (LookupError, TypeError, AttributeError, EOFError, BadZipFile, zlib.error)
"""What reading of a damaged file may raise, beside ValueError and OSError, which say what is wrong."""
_SHARED = re.compile(r"(link\d+|skip\d+|readout)\.(weight|bias)")


def read_contents(name: str) -> Contents:
    """What a file or the folder of an export holds; a name of the zoo will do as well.

    Raises:
        ValueError: it is none of them, damaged, or of a newer version; the message names it and what can be read.
    """
    if name in zoo_names():
        return _of_network(load_model(name))
    try:
        return _of_path(name)
    except DAMAGED as error:
        told = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name} is damaged, or not what this package has written ({told})") from error


def _of_path(name: str) -> Contents:
    path = Path(name)
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise ValueError(f"{name} is no file, no folder and no network of the zoo ({', '.join(zoo_names())})")
    kind = _FILES.get(path.suffix)
    if kind is None:
        raise ValueError(f"{name} ends in {path.suffix or 'nothing'}, expected one of {', '.join(_FILES)}, or a folder")
    return kind(path)


def _of_folder(path: Path) -> Contents:
    if not (path / MANIFEST).is_file() and (path / "layout.json").is_file():
        return _of_chip(path, {})
    manifest = read_manifest(path)
    kind, changed = str(manifest.get("format")), changed_files(path, manifest)
    if kind not in MAIN_FILES and kind not in _FOLDERS:
        raise ValueError(f"{path} is an export to {kind}, expected one of {', '.join([*MAIN_FILES, *_FOLDERS])}")
    try:
        contents = _of_path(str(path / MAIN_FILES[kind])) if kind in MAIN_FILES else _FOLDERS[kind](path, manifest)
    except (ValueError, *DAMAGED) as error:
        if not changed:
            raise
        raise ValueError(f"{path}: {', '.join(changed)} is not what was written ({error})") from error
    if not changed:
        return contents
    told = f"changed since it was written: {', '.join(changed)}"
    return replace(contents, lines=(told, *contents.lines), facts={**contents.facts, "changed": changed})


def _of_safetensors(path: Path) -> Contents:
    return _of_program(Program.load(path)) if is_program(path) else _of_network(load_network(path))


def _of_network(network: EPNetwork, kind: str = "network") -> Contents:
    tensors = {name: tensor.numpy() for name, tensor in network.named_parameters().items()}
    lines = tuple(repr(network).splitlines())
    return Contents(kind, tensors, lines, {"parameters": sum(one.size for one in tensors.values())})


def _of_program(program: Program) -> Contents:
    tensors: dict[str, Array] = {}
    for name, link in program.named_links().items():
        tensors |= {f"{name}.weight": link.weight, f"{name}.bias": link.bias}
    placed = place([link.operator(link.weight) for link in program.links], feedback=program.feedback)
    bounds = {name: float(bound.max()) for name, bound in program.accumulator_bounds().items()}
    lines = [*repr(program).splitlines(), "cores of every layer, the images first, and how full of units they are:"]
    for layer, on in zip(placed.layers, placed.on_cores(), strict=True):
        lines.append(f"  {layer.name}: {layer.cores} cores, {on.full['units']:.0%}")
    for name, bound in bounds.items():
        lines.append(f"  accumulator of {name}: at most {bound:,.0f}, {ACCUMULATOR_BITS} bits hold {ACCUMULATOR_MAX:,}")
    facts = {"state_bits": program.state_bits, "cores": list(placed.used), "accumulators": bounds}
    return Contents("program", tensors, tuple(lines), facts)


def _of_onnx(path: Path) -> Contents:
    _need("onnx", path)
    import onnx
    from onnx import numpy_helper

    try:
        model = onnx.load(path)
    except Exception as error:  # of protobuf, which comes without types
        raise ValueError(f"{path}: not an ONNX model ({error})") from None
    if not model.graph.node:
        raise ValueError(f"{path}: not an ONNX model, or one without a node")
    tensors = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    named = {name: values for name, values in tensors.items() if _SHARED.fullmatch(name)}
    steps = next((one.value for one in model.metadata_props if one.key == "steps"), "unknown")
    lines = [f"{len(model.graph.node)} nodes, steps: {steps}"]
    lines += [f"  {name}: {list(values.shape)}" for name, values in named.items()]
    return Contents("onnx", named or tensors, tuple(lines), {"nodes": len(model.graph.node), "steps": steps})


def _of_nir(path: Path) -> Contents:
    _need("nir", path)
    from mapping.export.nir.graph import network_of_nir

    return _of_network(network_of_nir(path), "nir")


def _of_c(path: Path, manifest: dict[str, Any]) -> Contents:
    """The arrays of network.h, flat as they are there."""
    text = (path / "network.h").read_text(encoding="utf-8")
    kinds = {"int8_t": np.int8, "int32_t": np.int32}
    found = re.findall(r"static const (int8_t|int32_t) (\w+)_(weight|bias)\[\d+\] = \{([^}]*)\}", text)
    tensors = {
        f"{name}.{part}": np.array([int(one) for one in numbers.split(",") if one.strip()], kinds[kind])
        for kind, name, part, numbers in found
    }
    lines = tuple(re.findall(r"/\* (\w.*) \*/", text))
    return Contents("c", tensors, lines, {key: manifest[key] for key in ("bytes", "logit_scale") if key in manifest})


def _of_chip(path: Path, manifest: dict[str, Any]) -> Contents:  # noqa: ARG001
    """Target conductances of every tile, and how full it is."""
    layout = json.loads((path / "layout.json").read_text(encoding="utf-8"))
    size, device = layout["tile"], layout["device"]
    span = f"{device['g_min_s']:g} S to {device['g_max_s']:g} S"
    lines = [f"device {device['name']}, {span}, encoding {layout['encoding']['name']}"]
    tensors: dict[str, Array] = {}
    shares: dict[str, float] = {}
    for tile in layout["tiles"]:
        name, rows, columns = tile["name"], tile["rows"], tile["columns"]
        with np.load(path / "tiles" / f"{name}.npz") as held:
            tensors |= {f"{name}.{key}": held[key] for key in held.files}
        shares[name] = rows * columns / (size["rows"] * size["columns"])
        lines.append(f"  {name}: {rows} x {columns} of {size['rows']} x {size['columns']}, {shares[name]:.0%}")
    return Contents("crossbar", tensors, tuple(lines), {"tiles": len(shares), "utilisation": shares})


def _of_loihi(path: Path, manifest: dict[str, Any]) -> Contents:  # noqa: ARG001
    """Integers link by link, cores of every layer and how full of units they are, and what learns how."""
    from mapping.export.loihi.settle import read_network

    network, tensors = read_network(path)
    placed = network["placement"]
    chip = placed.get("chip", LOIHI_1.name)  # what every export was placed on before it said so
    where = f"{in_chips(placed['chips'])} of {placed['cores_per_chip']} cores, {chip}"
    lines = [f"states of {network['state_bits']} bits, {where}"]
    for name, link in network["links"].items():
        shifts = f"shifts {link['up_shift']} up, {link['down_shift']} down"
        lines.append(
            f"  {name}: {link['kind']} {link['below']} to {link['above']}, {link['synapses']:,} synapses, {shifts}"
        )
    with np.load(path / "placement.npz") as held:
        for layer, (count, (_, cores)) in enumerate(zip(placed["cores"], sorted(held.items()), strict=True)):
            lines.append(f"  layer {layer}: {count} cores, {len(cores) / count / placed['units_per_core']:.0%}")
    for name, rule in network["learning"].items():
        lines.append(
            f"  {name} learns by {rule['dw']}" if "dw" in rule else f"  {name} does not learn: {rule['obstacle']}"
        )
    facts = {"state_bits": network["state_bits"], "chip": chip, "cores": placed["cores"], "chips": placed["chips"]}
    return Contents("loihi", tensors, tuple(lines), facts)


def _of_npz(path: Path) -> Contents:
    try:
        with np.load(path) as held:
            return Contents("npz", {name: held[name] for name in held.files})
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not an NPZ file of numbers ({error})") from None


def _need(package: str, path: Path) -> None:
    missing = missing_packages(package)
    if missing is not None:
        raise ValueError(f"{path}: {missing}")


_FILES: dict[str, Callable[[Path], Contents]] = {
    ".safetensors": _of_safetensors,
    ".onnx": _of_onnx,
    ".nir": _of_nir,
    ".npz": _of_npz,
}
_FOLDERS: dict[str, Callable[[Path, dict[str, Any]], Contents]] = {
    "crossbar": _of_chip,
    "c": _of_c,
    "loihi": _of_loihi,
}
