"""A die as one file, so that an experiment goes on on the same chip: another day, or on another computer.

    save_die(machine, Path("die.safetensors"))
    load_die(Path("die.safetensors"), machine)      # made of the same network, device and design

The file keeps what distinguishes this die from one that was just made: of every device conductance, target, age, stuck
or not, its retention and its response to pulses, and how often it was written; of every tile the gains, offsets and
ranges of its converters; of every link the gain against drift and the read-back it is measured by; digital biases;
what a die that has learnt keeps beside them (`hw.crossbar.updates`), arrays of devices of its own among it; and where
all random numbers stand. The loaded die gives, from the next call on, the bits that the saved one would have.

Numbers are safetensors, the rest a JSON document under the metadata key "ep-hardware die". Version 1 has nothing of the
way of writing: a die that had learnt begins again at what its devices were aimed at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hw.circuit import weights_of
from hw.crossbar.machine import Crossbar
from hw.crossbar.tiles.converters import Adc, MissingAdc, RoundingAdc
from hw.crossbar.tiles.gain import Gain, Reference
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.tiles.tile import Tile
from hw.crossbar.updates.update import Kept
from hw.events.tiles import ProgrammingEvents

KEY = "ep-hardware die"
VERSION = 2
MISSING = "missing"
"""Stands for the range of a converter that nobody has set."""
ARRAYS = ("target_s", "programmed_s", "stuck_s", "resting_s", "writes", "written_at_s")
"""Of every device."""
Tensors = dict[str, NDArray[Any]]


def save_die(machine: Crossbar, path: Path) -> None:
    """Write a die, complete or not at all."""
    tensors: Tensors = {}
    tiles, links = {}, {}
    with machine.lock:
        for name, matrix in _named_matrices(machine):
            for number, tile in enumerate(matrix.tiles, start=1):
                tiles[f"{name}-{number}"] = _tile_document(f"{name}-{number}", tile, tensors)
            links[name] = _link_document(name, matrix, tensors)
        writers = {}
        for name, writer in zip(machine.names, machine.writers, strict=False):
            kept = writer.kept()
            tensors.update({f"{name}.writer.{key}": values for key, values in kept.arrays.items()})
            writers[name] = {"arrays": list(kept.arrays), "document": kept.document}
        dynamics = machine.processor.dynamics
        for index, bias in enumerate((*dynamics.biases, dynamics.readout_bias)):
            tensors[f"bias.{index}"] = bias.cpu().numpy()
        document = {
            "version": VERSION,
            **_made_of(machine),
            "tiles": tiles,
            "links": links,
            "slow": machine.slow.bit_generator.state,
            "seed": list(machine.seed),
            "update": repr(machine.update),
            "writers": writers,
            "updates": machine._updates,
            "written": asdict(machine._written),
        }
    content = save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, {KEY: json.dumps(document)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def load_die(path: Path, machine: Crossbar) -> None:
    """Turn a machine that was made of the same network, device and design into the die that was saved.

    Raises ValueError, and changes nothing, for a file that is missing, damaged, newer, or of another die; the message
    says which.
    """
    tensors, document = _read(path)
    for what, ours in _made_of(machine).items():
        if document.get(what) != ours:
            raise ValueError(f"{path} is a die of another {what}: it has {document.get(what)}, this machine {ours}")
    if document["writers"] and document["update"] != repr(machine.update):
        raise ValueError(f"{path} is a die that learns by {document['update']}, this machine by {machine.update!r}")
    with machine.lock:
        machine.writers, machine.seed = [], tuple(document["seed"])
        if document["writers"]:
            machine.begin_writing()
        for name, matrix in _named_matrices(machine):
            for number, tile in enumerate(matrix.tiles, start=1):
                _restore_tile(f"{name}-{number}", tile, document["tiles"][f"{name}-{number}"], tensors)
            _restore_link(name, matrix, document["links"][name], tensors)
        for name, writer in zip(machine.names, machine.writers, strict=False):
            kept = document["writers"][name]
            writer.restore(Kept({key: tensors[f"{name}.writer.{key}"] for key in kept["arrays"]}, kept["document"]))
        for index in range(len(machine.processor.dynamics.biases) + 1):
            machine.processor.dynamics.load_bias(index, torch.as_tensor(tensors[f"bias.{index}"]))
        machine.slow.bit_generator.state = document["slow"]
        machine._updates = document["updates"]
        machine._written = ProgrammingEvents(**document["written"])


def _named_matrices(machine: Crossbar) -> Iterator[tuple[str, TiledMatrix]]:
    """Of every link, and those that its writer has beside it."""
    for name, link in zip(machine.names, machine.links, strict=True):
        yield name, link.matrix
    for name, writer in zip(machine.names, machine.writers, strict=False):
        for number, matrix in enumerate(writer.matrices[1:], start=1):
            yield f"{name}-beside{number}", matrix


def _made_of(machine: Crossbar) -> dict[str, str]:
    """What a die must be made of to take the place of another."""
    digest = hashlib.sha256()
    weights = weights_of(machine.circuit)
    for array in (*weights.weights, *weights.biases):
        digest.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
    return {"network": digest.hexdigest(), "device": repr(machine.device), "design": repr(machine.design)}


def _tile_document(name: str, tile: Tile, tensors: Tensors) -> dict[str, Any]:
    array = tile.array
    kept = {key: getattr(array, key) for key in ARRAYS}
    kept |= {} if array.drawn is None else {"drawn": array.drawn}
    kept |= {f"steps.{key}": values for key, values in (array.steps or {}).items()}
    kept |= {f"gain.{part}.{side}": values for (part, side), values in tile.gains.items()}
    kept |= {f"offset.{side}": values for side, values in tile.offsets.items()}
    kept["generator"] = tile.generator.get_state().cpu().numpy()
    tensors.update({f"{name}.{key}": values for key, values in kept.items()})
    return {
        "seconds": array.seconds,
        "kelvin": array.kelvin,
        "events": asdict(array.events),
        "worst": [tile.worst_up, tile.worst_down],
        "ranges": [_range(tile.adc_up), _range(tile.adc_down)],
    }


def _restore_tile(name: str, tile: Tile, document: dict[str, Any], tensors: Tensors) -> None:
    array = tile.array
    held: dict[str, Any] = {key: tensors[f"{name}.{key}"] for key in ARRAYS}
    tile.write(
        replace(
            array,
            **held,
            drawn=tensors.get(f"{name}.drawn"),
            steps=None if array.steps is None else {key: tensors[f"{name}.steps.{key}"] for key in array.steps},
            events=ProgrammingEvents(**document["events"]),
            seconds=document["seconds"],
            kelvin=document["kelvin"],
        )
    )
    tile.gains = {(part, side): tensors[f"{name}.gain.{part}.{side}"] for part, side in tile.gains}
    tile.offsets = {side: tensors[f"{name}.offset.{side}"] for side in tile.offsets}
    tile.generator.set_state(torch.as_tensor(tensors[f"{name}.generator"]))
    tile.worst_up, tile.worst_down = document["worst"]
    bits = tile.design.adc_bits
    if bits is not None:
        tile.adc_up, tile.adc_down = (
            MissingAdc() if top == MISSING else RoundingAdc(bits, top) for top in document["ranges"]
        )


def _range(adc: Adc) -> float | str | None:
    if isinstance(adc, MissingAdc):
        return MISSING
    return adc.full_scale if isinstance(adc, RoundingAdc) else None


def _link_document(name: str, matrix: TiledMatrix, tensors: Tensors) -> dict[str, Any]:
    reference = matrix._reference
    tensors[f"{name}.aimed"], tensors[f"{name}.gain"] = matrix._aimed, matrix.gain.drift
    if reference is not None:
        for key in ("weight", "power", "error"):
            tensors[f"{name}.reference.{key}"] = getattr(reference, key)
        tensors[f"{name}.reference.gain"] = reference.gain.drift
    return {
        "thermal": matrix.gain.thermal,
        "calibration": matrix._calibration.bit_generator.state,
        "reference": None
        if reference is None
        else {
            "gain_thermal": reference.gain.thermal,
            "thermal": reference.thermal,
            "when": list(reference.when),
            "writes": reference.writes,
        },
    }


def _restore_link(name: str, matrix: TiledMatrix, document: dict[str, Any], tensors: Tensors) -> None:
    matrix._aimed = tensors[f"{name}.aimed"]
    matrix.gain = Gain(tensors[f"{name}.gain"], document["thermal"])
    matrix._calibration.bit_generator.state = document["calibration"]
    kept = document["reference"]
    if kept is None:
        matrix._reference = None
        return
    seconds, kelvin = kept["when"]
    weight, power, error = (tensors[f"{name}.reference.{key}"] for key in ("weight", "power", "error"))
    matrix._reference = Reference(
        weight,
        power,
        error,
        Gain(tensors[f"{name}.reference.gain"], kept["gain_thermal"]),
        kept["thermal"],
        (seconds, kelvin),
        kept["writes"],
    )


def _read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: truncated, or not a safetensors file ({error})") from error
    if KEY not in metadata:
        raise ValueError(f"{path}: not a die: expected the metadata key {KEY!r}")
    document: dict[str, Any] = json.loads(metadata[KEY])
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise ValueError(f"{path}: version {version} is newer than {VERSION}, the newest that this package reads")
    if version not in (1, VERSION):
        raise ValueError(f"{path}: version is {version!r}, this package reads 1 and {VERSION}")
    return tensors, {"writers": {}, **document}
