"""Digests that tell whether a file is still what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def sha256_of(path: Path) -> str:
    """Of the bytes of a file, as `sha256sum` tells it."""
    with path.open("rb") as file:
        hashed = hashlib.sha256()
        while block := file.read(2**20):
            hashed.update(block)
    return hashed.hexdigest()


def content_sha256(arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> str:
    """Of a JSON document, and of the name, type, shape and numbers of every array, in the order of their names."""
    hashed = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        hashed.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        hashed.update(array.data)
    return hashed.hexdigest()
