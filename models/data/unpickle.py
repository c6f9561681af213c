"""Reads the pickles that CIFAR is published in, without giving a file the power to run code.

A pickle may name any function of any module and have it called. The files of CIFAR need four names, and each stands
here for something harmless of our own: not even numpy sees what a file says before it is checked.
"""

from __future__ import annotations

import io
import pickle
import pickletools
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


ENCODE = ("_codecs", "encode")


ALLOWED: dict[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # as numpy 2 writes it
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledDtype,
    ENCODE: _encode,
}


class _Encoder:
    """`_encode` with a bound, since the same text could be encoded again and again.

    An object of its own, because what an unpickler finds it remembers: a method of the unpickler would keep it, and a
    hundred megabytes with it, until the garbage collector comes round.
    """

    encoded = 0
    """Bytes made of text so far."""

    def __call__(self, text: str, encoding: str) -> bytes:
        self.encoded += len(text)
        if self.encoded > MOST_BYTES:
            raise pickle.UnpicklingError(f"it makes more than {MOST_BYTES} bytes of text")
        return _encode(text, encoding)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, *, encoding: str) -> None:
        super().__init__(file, encoding=encoding)
        self.encode = _Encoder()

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in ALLOWED:
            allowed = ", ".join(".".join(names) for names in ALLOWED)
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, refused; allowed: {allowed}")
        return self.encode if (module, name) == ENCODE else ALLOWED[module, name]


MOST_BYTES = 256 * 2**20
"""Of a pickle; the largest of CIFAR has 155 MB."""
MOST_ENTRIES, MOST_DEPTH = 2**20, 100
"""Of the memory of a pickle and of its stack. CIFAR-100 remembers 100,000 things, and nests them 7 deep."""
OPCODES = frozenset({
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "REDUCE", "GLOBAL", "STACK_GLOBAL", "BUILD"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "DICT", "LIST", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
})  # fmt: skip
"""What lists, dictionaries, arrays and their numbers are made of."""

_REMEMBERING = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_RECALLING = ("GET", "BINGET", "LONG_BINGET")
_FILLING = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD")


def read_pickle(path: Path) -> dict[bytes, object]:
    """The dictionary in a pickle of Python 2 or 3: keys are bytes, arrays are `PickledArray`.

    Its opcodes are walked before any is obeyed: a few bytes could ask for gigabytes, or for what ends the interpreter.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES} bytes")
    try:
        end = _walked(content)
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises whatever its opcodes stumble over
        raise ValueError(f"{path} is not a readable pickle: {error}") from error
    if end != len(content):
        raise ValueError(f"{path} has {len(content)} bytes, but its pickle ends after {end}")
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, expected a dict")
    return value


def _walked(content: bytes) -> int:
    """Where the pickle ends; `UnpicklingError` for an opcode that no data need, and for what is beyond the bounds.

    Of every value on the stack only its depth is kept: 0 of a number, one more than its deepest part of a container.
    A tuple nested 100,000 deep ends the interpreter that hashes it, and an index of 2**31 makes it reserve as many
    places in its memory.
    """
    stack: list[int | None] = []  # None is a mark
    memory: dict[int, int] = {}
    position = -1
    for opcode, argument, place in pickletools.genops(content):
        position = place or 0
        if opcode.name not in OPCODES:
            raise pickle.UnpicklingError(f"its opcode {opcode.name} at {position} is refused")
        if opcode.name in _REMEMBERING:
            index = len(memory) if opcode.name == "MEMOIZE" else int(argument or 0)
            if index >= MOST_ENTRIES:
                raise pickle.UnpicklingError(f"it remembers thing {index} at {position}, at most {MOST_ENTRIES}")
            memory[index] = stack[-1] or 0
        elif opcode.name in _RECALLING:
            stack.append(memory[int(argument or 0)])
        elif opcode.name == "MARK":
            stack.append(None)
        else:
            depth = _taken(stack, opcode)
            if depth > MOST_DEPTH:
                raise pickle.UnpicklingError(f"it is nested {depth} deep at {position}, at most {MOST_DEPTH}")
            stack.extend([depth] * len(opcode.stack_after))
    return position + 1


def _taken(stack: list[int | None], opcode: pickletools.OpcodeInfo) -> int:
    """The depth of what an opcode makes of what it takes off the stack."""
    parts: list[int] = []
    if pickletools.markobject in opcode.stack_before:
        while (part := stack.pop()) is not None:
            parts.append(part)
    beside = [one for one in opcode.stack_before if one not in (pickletools.markobject, pickletools.stackslice)]
    first = [stack.pop() or 0 for _ in beside]
    if opcode.name in _FILLING:  # the container itself is the lowest
        container = first.pop()
        return max(container, *(1 + part for part in (*parts, *first)), 0)
    return 1 + max(parts + first) if parts or first else 0
