"""Controls in a quarter of their size: weights in 8 bits, with a scale of its own for every filter.

    w = q s,      q = round(w / s) from -127 to 127,      s = max |w| / 127 over the filter (row) of w

Biases and other vectors stay float32. What is rounded is what is compared: a packed network is a network of its own,
whose figures stand in its manifest, and no stand-in for the one that it was made from. The file is safetensors, its
metadata as of `models.files.checkpoint`; the manifest beside it has its sha256, checked on loading.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.controls.classifier import FeedForward
from models.ep.network import EPNetwork
from models.files.checkpoint import check_against_manifest, describe, restored
from models.files.tensorfile import CheckpointError, write_atomically
from models.files.typed import read_json
from models.vit.network import VisionTransformer
from models.vit.network import restored as restored_transformer

KEY = "ep-hardware control"
SCALE = ".scale of rows"
"""What the name of the scales of a tensor ends in."""
Control = EPNetwork | FeedForward | VisionTransformer
_DOCUMENT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def pack(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """(q int8 of the shape of the tensor, s float32 (rows,)) of a tensor of two dimensions or more."""
    scales = tensor.flatten(1).abs().amax(dim=1) / 127
    steps = scales.clamp(min=torch.finfo(torch.float32).tiny).view(-1, *[1] * (tensor.ndim - 1))
    return (tensor / steps).round().to(torch.int8), scales


def unpack(quantized: Tensor, scales: Tensor) -> Tensor:
    """q s, float32."""
    return quantized.float() * scales.view(-1, *[1] * (quantized.ndim - 1))


def save_packed(control: Control, path: Path) -> None:
    """Write a control to `path`, rounded, complete or not at all."""
    if isinstance(control, VisionTransformer):
        named, document = dict(control.state_dict()), {"kind": "transformer", "network": asdict(control.form)}
    else:
        network = control.network if isinstance(control, FeedForward) else control
        kind = "feed_forward" if isinstance(control, FeedForward) else "settling"
        named, document = network.named_parameters(), {"kind": kind, "network": describe(network)}
    tensors: dict[str, Tensor] = {}
    for name, tensor in named.items():
        held = tensor.detach().cpu().contiguous()
        if held.ndim > 1:
            tensors[name], tensors[f"{name}{SCALE}"] = pack(held)
        else:
            tensors[name] = held
    write_atomically(path, save(tensors, {KEY: json.dumps(document)}))


def load_packed(path: Path) -> Control:
    """What `save_packed` wrote, unpacked to float32.

    Raises:
        CheckpointError: missing, damaged or foreign, or not of the sha256 that the manifest beside it tells.
    """
    check_against_manifest(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            held = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
        document = read_json(_DOCUMENT, metadata[KEY])
        kind, wiring = document["kind"], document["network"]
        scales = {name.removesuffix(SCALE): held.pop(name) for name in list(held) if name.endswith(SCALE)}
        tensors = {name: unpack(tensor, scales[name]) if name in scales else tensor for name, tensor in held.items()}
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: not a control that was packed by this program: {error}") from error
    if kind == "transformer":
        return restored_transformer(path, tensors, wiring)
    network = restored(path, tensors, wiring)
    return FeedForward(network) if kind == "feed_forward" else network
