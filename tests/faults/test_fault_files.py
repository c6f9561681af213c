"""Damaged files of networks, programs, recipes, manifests, trainings and data: every one is refused by an error that
names it, or read as what it was. Never a traceback of another kind, a crash, more than 1 GiB or 60 s, or other numbers.

python -m pytest -m slow tests/faults/test_fault_files.py
"""

from __future__ import annotations

import gzip
import json
import pickle
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.ep_examples import bars, conv_network, tiny_recipe
from helpers.random_nets import mixed_network, program_of

from mapping.program import Program
from models.data.cifar import CIFAR10, read_batch
from models.data.mnist import read_idx
from models.ep.network import EPNetwork
from models.files.checkpoint import load_network, save_network
from models.recipes import read_recipe
from models.train.loop import train
from models.train.state import describe_run, read_state
from models.zoo import FOLDER
from models.zoo.manifests import manifest_of

MEMORY, SECONDS = 2**30, 60
LARGE = [b"1e400", b"-1", b"0", b"true", b"null", b"[]", b"{}", b"NaN", b"Infinity", b"1000000000", b"9" * 5000, b'"x"']
"""What takes the place of a number in a text."""


@dataclass(frozen=True)
class Kind:
    """One kind of file."""

    name: str
    """Of the file."""
    content: bytes
    """Of a sound one."""
    read: Callable[[Path], Any]
    """Its reader; what it gives can be compared."""
    sealed: bool
    """Whether what is read of a damaged file must be what was written: those that carry a digest."""


def numbers_of(network: EPNetwork) -> Any:
    """Wiring and weights."""
    return repr(network), {name: tensor.tolist() for name, tensor in network.named_parameters().items()}


def program_numbers(path: Path) -> Any:
    """Description and integers."""
    program = Program.load(path)
    links = program.named_links().items()
    return program.document(), {name: (link.weight.tolist(), link.bias.tolist()) for name, link in links}


def kinds(folder: Path) -> list[Kind]:
    """A sound file of every kind."""
    run = describe_run(bars(), tiny_recipe(), 0, "cpu")
    save_network(conv_network(0).map_parameters(torch.Tensor.float), folder / "net.safetensors")
    program_of(mixed_network(), state_bits=8, seed=4).save(folder / "net.program")
    train(bars(), tiny_recipe(1), seed=0, state_path=folder / "net.training")
    state_run = describe_run(bars(), tiny_recipe(1), 0, "cpu")
    assert state_run != run
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
    batch = {b"data": pixels, b"labels": [index % 10 for index in range(20)], b"batch_label": b"a batch"}
    idx = b"\0\0\x08\3" + b"".join(size.to_bytes(4, "big") for size in (10, 28, 28)) + bytes(7840)
    recipe = (Path(__file__).parents[2] / "models/recipes/hw-cifar10-small.toml").read_bytes()
    manifest = json.loads((FOLDER / "digits.json").read_text(encoding="utf-8")) | {"sha256": None}

    def state(path: Path) -> Any:
        tensors, *rest = read_state(path, state_run)
        return {name: tensor.tolist() for name, tensor in tensors.items()}, rest

    return [
        Kind("net.safetensors", (folder / "net.safetensors").read_bytes(), lambda p: numbers_of(load_network(p)), True),
        Kind("net.program", (folder / "net.program").read_bytes(), program_numbers, True),
        Kind("net.training", (folder / "net.training").read_bytes(), state, True),
        Kind("mine.toml", recipe, read_recipe, False),
        Kind(
            "mine.json",
            json.dumps(manifest, indent=1).encode(),
            lambda p: manifest_of(str(p.with_suffix(".safetensors"))),
            False,
        ),
        Kind("data_batch_1", pickle.dumps(batch, protocol=2), lambda p: read_batch(p, 20, CIFAR10), False),
        Kind("idx.gz", gzip.compress(idx, mtime=0), lambda p: read_idx(p, 3, 7840), True),
        Kind("idx", idx, lambda p: read_idx(p, 3, 7840), False),
    ]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """One kind of damage, at a place where it hurts as often as not: the head of the file."""
    at = draw.randrange(draw.choice([min(64, len(content)), min(3000, len(content)), len(content)]))
    match draw.randrange(9):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]
        case 2:
            return content[:at] + draw.randbytes(draw.randint(1, 30)) + content[at:]
        case 3:
            return content[:at] + content[at + draw.randint(1, 60) :]
        case 4:
            end = at + draw.randint(1, 200)
            return content[:end] + content[at:end] * draw.randint(1, 3) + content[end:]
        case 5:
            return content[:at] + b"\0" * min(60, len(content) - at) + content[at + 60 :]
        case 6:
            return content + draw.randbytes(draw.randint(1, 100))
        case 7:
            return content[:at] + draw.choice([b"[", b"{", b'{"a":', b"(", b"]("]) * 100_000 + content[at:]
        case _:
            places = [index for index in range(len(content)) if content[index : index + 1].isdigit()][:3000]
            place = draw.choice(places) if places else at
            return content[:place] + draw.choice(LARGE) + content[place + 1 :]


@contextmanager
def little_memory() -> Iterator[None]:
    """No more than `MEMORY` on top of what is mapped already: what asks for it gets a MemoryError."""
    mapped = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def same(ours: Any, theirs: Any) -> bool:
    """Of what readers give."""
    return bool(torch.equal(ours, theirs)) if isinstance(ours, torch.Tensor) else ours == theirs


def fuzz(count: int, seed: int, folder: Path) -> Counter[str]:
    """Damage so many files, one at a time; how each reader took it. Fails with all that ended wrongly."""
    draw, ended, wrong = random.Random(seed), Counter[str](), list[str]()
    sound = [(kind, _read(kind, kind.content, folder)) for kind in kinds(folder)]
    for number in range(count):
        kind, whole = sound[number % len(sound)]
        content = damaged(kind.content, draw)
        began = time.monotonic()
        try:
            with little_memory():
                answer = _read(kind, content, folder)
            ended[f"{kind.name}: read"] += 1
            if kind.sealed and not same(answer, whole):
                wrong.append(f"{number}, {kind.name}: read as other numbers")
        except ValueError as error:
            ended[f"{kind.name}: refused"] += 1
            if str(folder / "damaged") not in str(error) or "\n" in str(error).strip():
                wrong.append(f"{number}, {kind.name}: {error!r:.300}")
        except Exception as error:
            wrong.append(f"{number}, {kind.name}: {error!r:.300}")
        if time.monotonic() - began > SECONDS:
            wrong.append(f"{number}, {kind.name}: took longer than {SECONDS} s")
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong[:40])
    return ended


def _read(kind: Kind, content: bytes, folder: Path) -> Any:
    path = folder / "damaged" / kind.name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return kind.read(path)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    ended = fuzz(600, seed=0, folder=tmp_path)
    assert sum(ended.values()) == 600
    assert sum(count for how, count in ended.items() if how.endswith("refused")) > 300


@pytest.mark.slow
def test_thousands_of_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    ended = fuzz(3000, seed=1, folder=tmp_path)
    print(json.dumps(ended, indent=1))
