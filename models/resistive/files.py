"""Checkpoints of resistive networks: one safetensors file of float32 conductances and biases.

How they are wired is JSON in the metadata: {"version": 1, "input_shape": [1, 8, 8], "input_gain": 100.0,
"gains": [1.0], "largest": 12.5, "largest_output": 0.8}. Nothing is ever unpickled.
"""

from __future__ import annotations

from pathlib import Path

from models.files.checkpoint import check_against_manifest
from models.files.tensorfile import CheckpointError, read_tensors, write_tensors
from models.resistive.network import DeepResistive

KEY = "ep-hardware resistive network"
VERSION = 1


def save_resistive(network: DeepResistive, path: Path) -> None:
    """Write complete or not at all; CheckpointError for a tensor with a NaN or an infinity."""
    document = {
        "version": VERSION,
        "input_shape": list(network.input_shape),
        "input_gain": network.input_gain,
        "gains": list(network.gains),
        "largest": network.largest,
        "largest_output": network.largest_output,
    }
    write_tensors(path, KEY, network.named_parameters(), document)


def load_resistive(path: Path) -> DeepResistive:
    """Read and check what `save_resistive` wrote; CheckpointError names the file, the place in it and the value."""
    check_against_manifest(path)
    tensors, document = read_tensors(path, KEY)
    if document.get("version") != VERSION:
        raise CheckpointError(f"{path}: version is {document.get('version')!r}, this program reads {VERSION}")
    try:
        shape = tuple(int(size) for size in document["input_shape"])
        gains = tuple(float(gain) for gain in document["gains"])
        numbers = range(1, len(tensors) // 2 + 1)
        return DeepResistive(
            tuple(tensors[f"link{number}.conductance"] for number in numbers),
            tuple(tensors[f"link{number}.bias"] for number in numbers),
            shape,
            float(document["input_gain"]),
            gains,
            *(None if document.get(name) is None else float(document[name]) for name in ("largest", "largest_output")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a resistive network: {error}") from error
