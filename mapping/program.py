"""The program: what hardware can hold of a network. Every mapper and exporter reads this and nothing else.

Numbers. A state s in [0, 1] is the integer s * one with one = 2**state_bits - 1. The weight of link l is
w = w_int * 2**-e_l with |w_int| <= 127. Layer l adds up products of the link below and of the link above, which have
different exponents: each is shifted left onto the binary point E_l = max(e_l, e_{l+1}) of the layer's accumulator,

    A_l = sum (w_int s_int) << (E_l - e)  +  b_int,      s_int <- clip(A_l >> E_l, 0, one),

where b_int = round(b * one * 2**E_l) + 2**(E_l - 1): the half makes the shift round to nearest. Average pooling over
k x k is a sum over the window with 1 / k**2 already in the weights, so that every operation is one of integers.

On disk a program is one safetensors file: int8 tensors `link1.weight`, int32 tensors `link1.bias`, and so on up to
`readout`, and under the metadata key "ep-hardware program" a JSON document,

    {"version": 2, "state_bits": 8, "links": {"link1": {"kind": "conv", "below": [1, 8, 8], "exponent": 7, "stride": 1,
     "padding": 1, "pooling": "none", "pool_size": 1}, ..., "readout": {...}}, "sha256": "..."}

and "feedback": false where no state goes down a link.

The sha256 is that of all else (`models.files.digest.content_sha256`), so that no flipped bit is taken for a weight;
older files have none.

Version 1 had two metadata keys, which safetensors writes in random order; it is read, and saved as version 2.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mapping.program_document import LinkDocument, ProgramDocument, json_object, typed_document
from models.ep.links import ConvLink, DenseLink, Link, Shape
from models.ep.pooling import PoolKind
from models.files.digest import content_sha256
from models.files.tensorfile import DIGEST
from models.files.whole import write_atomically

KEY = "ep-hardware program"
VERSION = 2
VERSION_1 = "ep-hardware program 1"
"""What stands under the metadata key "format" of a file of version 1, whose document lies under "program"."""
WEIGHT_MAX = 127
ACCUMULATOR_BITS = 24
ACCUMULATOR_MAX = 2 ** (ACCUMULATOR_BITS - 1) - 1
STATE_BITS = (4, 5, 6, 7, 8)


class ProgramError(ValueError):
    """A program that no machine may run, or a file that holds none."""


@dataclass(frozen=True)
class ProgramLink:
    """One link in integers; geometry as in `models.ep.links`."""

    kind: Literal["conv", "dense"]
    below: Shape
    weight: NDArray[np.int8]
    """(C_above, C_below, kh, kw) or (above, below); with average pooling the weight over k**2."""
    exponent: int
    """w = weight * 2**-exponent (times k**2 under average pooling)."""
    bias: NDArray[np.int32]
    """(C_above,) or (above,), on the binary point of the layer above, with the half for rounding."""
    stride: int = 1
    padding: int = 0
    pooling: PoolKind = "none"
    pool_size: int = 1

    def __repr__(self) -> str:
        return f"{self.operator(self.weight)!r}, exponent {self.exponent}"

    @property
    def window(self) -> int:
        """Units under one pooling window, k**2."""
        return self.pool_size**2

    def operator(self, weight: NDArray[Any]) -> Link:
        """The link's linear map in float64 with other numbers of the same shape on it, and no bias.

        The window of an average pool is put back, so that `up` sums and `down` copies the numbers as they are.
        """
        tensor = torch.as_tensor(np.ascontiguousarray(weight, np.float64)) * self.window
        none = torch.zeros(len(tensor), dtype=torch.float64)
        if self.kind == "dense":
            return DenseLink(tensor, none, self.below)
        return ConvLink(tensor, none, self.below, self.stride, self.padding, self.pooling, self.pool_size)

    @property
    def above(self) -> Shape:
        """Shape of the layer above."""
        return self.operator(self.weight).above


@dataclass(frozen=True)
class Program:
    """A network in integers: immutable, checked when made.

    Raises `ProgramError` where a number does not fit or an accumulator could overflow.
    """

    links: tuple[ProgramLink, ...]
    readout: ProgramLink | None
    """Linear readout outside the dynamics: its accumulators are the scores, times one * 2**exponent."""
    state_bits: int
    feedback: bool = True
    """Whether states go down links too."""

    def __post_init__(self) -> None:
        if self.state_bits not in STATE_BITS:
            raise ProgramError(f"state_bits is {self.state_bits!r}, choices are {', '.join(map(str, STATE_BITS))}")
        if not self.links:
            raise ProgramError("a program needs at least one link")
        for name, link in self.named_links().items():
            _check_link(name, link)
        for index, (lower, upper) in enumerate(zip(self.links, self.links[1:], strict=False), start=1):
            if lower.above != upper.below:
                raise ProgramError(
                    f"layer {index} is {lower.above} for the link below, {upper.below} for the one above"
                )
        top = self.links[-1].above
        if self.readout is not None and self.readout.below != top:
            raise ProgramError(f"the readout reads {self.readout.below}, the last layer is {top}")
        if self.readout is None and len(top) != 1:
            raise ProgramError(f"without a readout the last layer must be flat, one unit per class: it is {top}")
        for name, bound in self.accumulator_bounds().items():
            if bound.max() > ACCUMULATOR_MAX:
                unit = tuple(int(i) for i in np.unravel_index(int(bound.argmax()), bound.shape))
                raise ProgramError(
                    f"the accumulator of {name}, unit {unit}, could reach {int(bound.max())}, more than the "
                    f"{ACCUMULATOR_MAX} of {ACCUMULATOR_BITS} bits: use fewer state bits or smaller exponents"
                )

    def __repr__(self) -> str:
        named = self.named_links()
        top, count = list(named.values())[-1].above[0], sum(link.weight.size for link in named.values())
        head = f"Program of {self.links[0].below} images, {top} classes, {count:,} int8 weights"
        lines = [f"{head}, states of {self.state_bits} bits"]
        return "\n".join([*lines, *(f"  {name}: {link!r}" for name, link in named.items())])

    @property
    def one(self) -> int:
        """The code of state 1.0."""
        return int(2**self.state_bits - 1)

    @property
    def exponents(self) -> tuple[int, ...]:
        """Binary point E_l of every layer's accumulator."""
        return layer_exponents([link.exponent for link in self.links])

    def named_links(self) -> dict[str, ProgramLink]:
        """link1, link2, ..., readout."""
        named = {f"link{index}": link for index, link in enumerate(self.links, start=1)}
        return named if self.readout is None else {**named, "readout": self.readout}

    def accumulator_bounds(self) -> dict[str, NDArray[np.float64]]:
        """Per layer, (*shape) the largest magnitude any unit's accumulator can take, whatever the input."""
        return accumulator_bounds(self.links, self.readout, self.one)

    def document(self) -> dict[str, Any]:
        """All but the integers themselves, as the JSON document of the head of this file."""
        links = {}
        for name, link in self.named_links().items():
            fields = {key: value for key, value in asdict(link).items() if key not in ("weight", "bias")}
            links[name] = {**fields, "below": list(link.below)}
        document = {"version": VERSION, "state_bits": self.state_bits, "links": links}
        return document if self.feedback else {**document, "feedback": False}

    def save(self, path: Path) -> None:
        """Write one safetensors file, complete or not at all; the same program gives the same bytes."""
        tensors: dict[str, NDArray[Any]] = {}
        for name, link in self.named_links().items():
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = link.weight, link.bias
        signed = {**self.document(), DIGEST: content_sha256(tensors, self.document())}
        write_atomically(path, save(tensors, {KEY: json.dumps(signed)}))

    @staticmethod
    def load(path: Path) -> Program:
        """Read and check what `save` wrote, of any version; `ProgramError` names the file and what is wrong in it."""
        if not path.is_file():
            raise ProgramError(f"{path}: {'truncated or not a safetensors file' if path.exists() else 'no such file'}")
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise ProgramError(f"{path}: truncated or not a safetensors file of integers ({error})") from error
        try:
            document = _document(metadata)
            digest = document.pop(DIGEST, None)
            if digest is not None and digest != content_sha256(tensors, document):
                raise ProgramError(f"damaged: the sha256 of its content is not the {digest!r} that it was written with")
            content = typed_document(document)
            _check_tensors(tensors, content)
            links = {name: _restored(name, link, tensors) for name, link in content.links.items()}
            readout = links.pop("readout", None)
            chain = tuple(links[f"link{number}"] for number in range(1, len(links) + 1))
            return Program(chain, readout, content.state_bits, content.feedback)
        except ValueError as error:
            raise ProgramError(f"{path}: {error}") from error


def is_program(path: Path) -> bool:
    """Whether a safetensors file calls itself a program, of whatever version, and not a network.

    Raises `ProgramError` for a file that is no safetensors file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ProgramError(f"{path}: truncated or not a safetensors file ({error})") from error
    return KEY in metadata or str(metadata.get("format", "")).startswith(KEY)


def layer_exponents(exponents: Sequence[int]) -> tuple[int, ...]:
    """E_l = max(e_l, e_{l+1}): the finer of the two binary points that meet in a layer."""
    return tuple(max(pair) for pair in zip(exponents, (*exponents[1:], exponents[-1]), strict=True))


def accumulator_bounds(
    links: Sequence[ProgramLink], readout: ProgramLink | None, one: int
) -> dict[str, NDArray[np.float64]]:
    """Per layer, (*shape) the largest magnitude any unit's accumulator can take, whatever the input.

    Proven from the weights: with |s_int| <= one, no sum or partial sum of w_int s_int, in any order, exceeds
    one * sum |w_int|. The same bound holds while changes are added up, because midway every unit counts with its old or
    its new state, and for the sum of changes alone, because |s_new - s_old| <= one.
    """
    exponents = layer_exponents([link.exponent for link in links])
    bounds: dict[str, NDArray[np.float64]] = {}
    for index, link in enumerate(links):
        drive = _reach(link, "up", one) * 2.0 ** (exponents[index] - link.exponent)
        if index + 1 < len(links):
            above = links[index + 1]
            drive = drive + _reach(above, "down", one) * 2.0 ** (exponents[index] - above.exponent)
        bias = np.abs(link.bias.astype(np.float64))
        bounds[f"layer{index + 1}"] = drive + bias.reshape(-1, *[1] * (drive.ndim - 1))
    if readout is not None:
        bounds["readout"] = _reach(readout, "up", one) + np.abs(readout.bias.astype(np.float64))
    return bounds


def _reach(link: ProgramLink, direction: Literal["up", "down"], one: int) -> NDArray[np.float64]:
    """one * sum |w_int| over everything that reaches a unit through this link, (*shape of the receiving layer)."""
    operator = link.operator(np.abs(link.weight.astype(np.float64)))
    if direction == "up":
        sums, _ = operator.up(torch.full((1, *link.below), float(one), dtype=torch.float64))
    else:
        sums = operator.down(torch.full((1, *link.above), float(one), dtype=torch.float64))
    return np.rint(sums[0].numpy())


def _check_link(name: str, link: ProgramLink) -> None:
    if link.kind not in ("conv", "dense"):
        raise ProgramError(f"{name} is of kind {link.kind!r}, kinds are conv, dense")
    for field in ("exponent", "stride", "padding", "pool_size"):
        if type(getattr(link, field)) is not int:
            raise ProgramError(f"{name} has {field} {getattr(link, field)!r}, which is no integer")
    if link.kind == "dense" and (link.stride, link.padding, link.pooling, link.pool_size) != (1, 0, "none", 1):
        raise ProgramError(f"{name} is dense and has a stride, padding or pooling: only conv links have those")
    if link.pooling == "max":
        raise ProgramError(f"{name} pools by max: integer machines hold 'none' and 'average' only")
    if link.weight.dtype != np.int8 or link.bias.dtype != np.int32:
        raise ProgramError(f"{name} holds {link.weight.dtype} weights and {link.bias.dtype} biases, not int8 and int32")
    if link.weight.size and int(link.weight.min()) < -WEIGHT_MAX:
        raise ProgramError(f"{name} holds the weight {int(link.weight.min())}, outside -{WEIGHT_MAX}..{WEIGHT_MAX}")
    if not 1 <= link.exponent <= ACCUMULATOR_BITS:
        raise ProgramError(f"{name} has exponent {link.exponent}, must be 1 to {ACCUMULATOR_BITS}")
    try:
        link.operator(link.weight)
    except ValueError as error:
        raise ProgramError(f"{name}: {error}") from error
    if link.bias.shape != link.weight.shape[:1]:
        raise ProgramError(f"{name} has {link.bias.shape} biases for weights {link.weight.shape}")


def _document(metadata: dict[str, str]) -> dict[str, Any]:
    """The JSON document of a file of any version, as the newest version has it."""
    if metadata.get("format") == VERSION_1:
        return {**json_object(metadata.get("program", "")), "version": VERSION}
    if KEY not in metadata:
        found = ", ".join(f"{key!r}" for key in sorted(metadata)) or "none"
        raise ProgramError(f"not a program: expected the metadata key {KEY!r}, found {found}")
    document = json_object(metadata[KEY])
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise ProgramError(f"version {version} is newer than {VERSION}, the newest that this package reads")
    if version != VERSION:
        raise ProgramError(f"version is {version!r}, this package reads 1 and {VERSION}")
    return document


def _check_tensors(tensors: dict[str, NDArray[Any]], content: ProgramDocument) -> None:
    """Every link has a weight and a bias, and nothing else is there."""
    expected = {f"{name}.{part}" for name in content.links for part in ("weight", "bias")}
    for name in sorted(expected - tensors.keys()):
        raise ProgramError(f"tensor {name} is missing")
    for name in sorted(tensors.keys() - expected):
        raise ProgramError(f"surplus tensor {name}, expected only {', '.join(sorted(expected))}")


def _restored(name: str, link: LinkDocument, tensors: dict[str, NDArray[Any]]) -> ProgramLink:
    return ProgramLink(weight=tensors[f"{name}.weight"], bias=tensors[f"{name}.bias"], **vars(link))
