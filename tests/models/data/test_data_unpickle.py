"""A pickle may ask for anything; it gets what CIFAR needs."""

from __future__ import annotations

import builtins
import codecs
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from models.data import unpickle
from models.data.unpickle import PickledArray, read_pickle


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data_batch_1"


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Call(os.mkdir, "ep-hardware-unpickled"), r"(posix|nt)\.mkdir"),
        (Call(builtins.eval, "1/0"), r"(builtins|__builtin__)\.eval"),
        (Call(np.load, "/nowhere"), r"numpy(\.lib\.npyio)?\.load"),
        (Call(codecs.lookup, "latin1"), r"_codecs\.lookup"),
    ],
)
def test_other_globals_are_refused_by_name(path: Path, call: Call, name: str, protocol: int) -> None:
    path.write_bytes(pickle.dumps({b"data": call}, protocol=protocol))
    with pytest.raises(ValueError, match=rf"data_batch_1 .*asks for {name}, refused; allowed: .*numpy\.ndarray"):
        read_pickle(path)
    assert not Path("ep-hardware-unpickled").exists()


def test_other_encodings_are_refused(path: Path) -> None:
    path.write_bytes(pickle.dumps({b"data": Call(codecs.encode, "x", "rot13")}, protocol=2))
    with pytest.raises(ValueError, match="encoding 'rot13', allowed: 'latin1'"):
        read_pickle(path)


def test_bytes_and_arrays_come_back(path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path.write_bytes(pickle.dumps({b"data": array, b"name": b"\x00\xff", b"labels": [1, 2]}, protocol=2))
    document = read_pickle(path)
    assert (document[b"name"], document[b"labels"]) == (b"\x00\xff", [1, 2])
    data = document[b"data"]
    assert isinstance(data, PickledArray)
    assert np.array_equal(data.array(), array)


@pytest.mark.parametrize("damage", ["empty", "truncated", "longer", "noise"])
def test_a_damaged_pickle_is_named(path: Path, damage: str) -> None:
    whole = pickle.dumps({b"data": np.zeros((3, 4), np.uint8)}, protocol=2)
    path.write_bytes({"empty": b"", "truncated": whole[:-9], "longer": whole + b"\0", "noise": b"\xff" * 99}[damage])
    message = f"has {len(whole) + 1} bytes, but its pickle ends after {len(whole)}"
    with pytest.raises(ValueError, match=f"data_batch_1 {message if damage == 'longer' else 'is not a readable'}"):
        read_pickle(path)


def test_an_array_with_too_few_bytes_is_refused(path: Path) -> None:
    whole = pickle.dumps({b"data": np.zeros((3, 4), np.uint8)}, protocol=2)
    path.write_bytes(whole.replace(b"K\x03K\x04\x86", b"K\x03K\x05\x86"))
    data = read_pickle(path)[b"data"]
    assert isinstance(data, PickledArray)
    with pytest.raises(ValueError, match=r"array \(3, 5\) of type 'u1', Fortran order False, 12 bytes; expected"):
        data.array()


def test_a_place_in_memory_without_end_is_refused_before_it_is_reserved(path: Path) -> None:
    """Ten bytes for which the interpreter would reserve 2 GiB."""
    path.write_bytes(b"\x80\x02Nr\xff\xff\xff\x0f0N.")
    with pytest.raises(ValueError, match=r"data_batch_1 .*remembers thing 268435455 at 3, at most 1048576"):
        read_pickle(path)


@pytest.mark.parametrize(
    "content",
    [b"\x80\x02}N" + 100_000 * b"\x85" + b"Ns.", b"\x80\x02}" + 100_000 * b"](" + b"e" * 100_000 + b"Ns."],
)
def test_what_is_nested_without_end_is_refused(path: Path, content: bytes) -> None:
    """A tuple of tuples of ... as a key is hashed by recursion without a bound: it ends the interpreter."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_1 .* nested 101 deep at"):
        read_pickle(path)


def test_text_is_not_encoded_again_and_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpickle, "MOST_BYTES", 4000)
    twice = [Call(codecs.encode, "x" * 100, "latin1") for _ in range(50)]
    path.write_bytes(pickle.dumps({b"data": twice}, protocol=2))
    with pytest.raises(ValueError, match="makes more than 4000 bytes of text"):
        read_pickle(path)


@pytest.mark.parametrize("opcode", [b"c", b"i", b"o", b"P0\n", b"Q", b"\x81", b"\x8f", b"\x96"])
def test_opcodes_that_no_data_need_are_refused(path: Path, opcode: bytes) -> None:
    path.write_bytes(b"\x80\x04(K\x01" + opcode + b"os\nmkdir\n.")
    with pytest.raises(ValueError, match=r"data_batch_1 "):
        read_pickle(path)


def test_a_pickle_of_many_numbers_is_no_deep_one(path: Path) -> None:
    for protocol in (0, 2, 4):
        path.write_bytes(pickle.dumps({b"labels": list(range(3000)), b"names": [b"a"] * 20}, protocol=protocol))
        assert read_pickle(path)[b"labels"] == list(range(3000))
