"""How two files differ:  python -m mapping.diff A B

Of any two that `mapping.inspect` reads: numbers of the same name are compared, so that a program can be held against
the C arrays made of it. Arrays of another shape with as many numbers are compared in their order. The last line of
output is one JSON document. Exit code 0 whether they differ or not, 2 for what cannot be read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import tyro

from mapping.inspect.contents import Array, Contents
from mapping.inspect.readers import read_contents


@dataclass(frozen=True)
class Difference:
    """Two tensors of one name."""

    numbers: int
    differing: int
    largest: float
    rms: float


@dataclass(frozen=True)
class Differences:
    """Two files."""

    tensors: dict[str, Difference]
    """Of the names that both have."""
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    """Names whose numbers of values differ."""
    only: tuple[tuple[str, ...], tuple[str, ...]]
    """Names that the first has alone, and the second."""

    @property
    def same(self) -> bool:
        """Every number of every name."""
        return not self.shapes and not any(self.only) and not any(one.differing for one in self.tensors.values())


def differences(one: Contents, other: Contents) -> Differences:
    """Name by name."""
    both = [name for name in one.tensors if name in other.tensors]
    fits = {name for name in both if one.tensors[name].size == other.tensors[name].size}
    return Differences(
        {name: _difference(one.tensors[name], other.tensors[name]) for name in both if name in fits},
        {name: (one.tensors[name].shape, other.tensors[name].shape) for name in both if name not in fits},
        (
            tuple(name for name in one.tensors if name not in other.tensors),
            tuple(name for name in other.tensors if name not in one.tensors),
        ),
    )


def _difference(one: Array, other: Array) -> Difference:
    left, right = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    distance = np.abs(left - right)
    # a difference of two numbers that are no number is none
    differing = (left != right) & ~(np.isnan(left) & np.isnan(right))
    far = distance[differing]
    rms = float(np.sqrt((far**2).sum() / max(distance.size, 1)))
    return Difference(distance.size, int(differing.sum()), float(far.max(initial=0.0)), rms)


@dataclass(frozen=True)
class DiffOptions:
    """What is compared."""

    first: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="A")]]
    """File, folder of an export, or network of the zoo."""
    second: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="B")]]
    """Another."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = tyro.cli(
        DiffOptions, args=arguments, prog="python -m mapping.diff", description="Compare two files that hold networks."
    )
    try:
        first, second = read_contents(options.first), read_contents(options.second)
        found = differences(first, second)
        if not found.tensors and not found.shapes:
            raise ValueError(
                f"{options.first} ({first.format}) and {options.second} ({second.format}) have no name in common"
            )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, one in found.tensors.items():
        told = "same" if not one.differing else f"at most {one.largest:.6g} apart, rms {one.rms:.3g}"
        print(f"{name}: {one.differing:,} of {one.numbers:,} numbers differ, {told}")
    for name, shapes in found.shapes.items():
        print(f"{name}: shapes {list(shapes[0])} and {list(shapes[1])}")
    for name, missing in zip((options.first, options.second), found.only, strict=True):
        if missing:
            print(f"only in {name}: {', '.join(missing)}")
    print(json.dumps({"same": found.same, **asdict(found)}))
    return 0
