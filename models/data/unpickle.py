"""Reads the pickles that CIFAR is published in, without giving a file the power to run code.

A pickle may name any function of any module and have it called. The files of CIFAR need four names, and each stands
here for something harmless of our own: not even numpy sees what a file says before it is checked.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class PickledDtype:
    """Stands for `numpy.dtype`: remembers its type code."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code  # Python 2 wrote bytes

    def __setstate__(self, _: object) -> None:
        """Byte order and fields: nothing that single bytes have."""


class PickledArray:
    """Stands for `numpy.ndarray`: remembers what the file says of one array."""

    def __init__(self) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8]:
        """The (rows, columns) array, once everything said of it fits together."""
        match self.state:
            case (_, (int(rows), int(columns)) as shape, PickledDtype(code=code), order, bytes(content)):
                if code == "u1" and order is False and min(shape) > 0 and rows * columns == len(content):
                    return np.frombuffer(content, np.uint8).reshape(rows, columns)
                summary = f"array {shape} of type {code!r}, Fortran order {order!r}, {len(content)} bytes"
            case _:
                summary = "array without a (rows, columns) shape, a type and bytes"
        raise ValueError(f"{summary}; expected a (rows, columns) array of type 'u1' in C order, one byte per element")


def _reconstruct(*_: object) -> PickledArray:
    return PickledArray()


def _encode(text: str, encoding: str) -> bytes:
    """Python 3 writes bytes in protocol 2 as latin1 text that is to be encoded again."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}, allowed: 'latin1'")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # as numpy 2 writes it
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledDtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in ALLOWED:
            allowed = ", ".join(".".join(names) for names in ALLOWED)
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, refused; allowed: {allowed}")
        return ALLOWED[module, name]


def read_pickle(path: Path) -> dict[bytes, object]:
    """The dictionary in a pickle of Python 2 or 3: keys are bytes, arrays are `PickledArray`."""
    content = path.read_bytes()
    stream = io.BytesIO(content)
    try:
        value = _Unpickler(stream, encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises whatever its opcodes stumble over
        raise ValueError(f"{path} is not a readable pickle: {error}") from error
    if stream.tell() != len(content):
        raise ValueError(f"{path} has {len(content)} bytes, but its pickle ends after {stream.tell()}")
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, expected a dict")
    return value
