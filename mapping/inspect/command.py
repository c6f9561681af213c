"""What is in a file:  python -m mapping.inspect FILE [--picture PNG]

FILE is a checkpoint, a program, an ONNX or NIR file, an NPZ, the folder of an export, or the name of a network of the
zoo. The last line of output is one JSON document. Exit code 2 for what cannot be read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mapping.inspect.contents import Contents, Summary, summary
from mapping.inspect.readers import read_contents


@dataclass(frozen=True)
class InspectOptions:
    """What is read, and where the figure goes."""

    file: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="FILE")]]
    """File, folder of an export, or network of the zoo."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="PNG")] = None
    """Histogram of every tensor."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = tyro.cli(
        InspectOptions,
        args=arguments,
        prog="python -m mapping.inspect",
        description="Layers, bits, ranges, cores or tiles of a file that holds a network.",
    )
    try:
        if options.picture is not None and (options.picture.suffix != ".png" or not options.picture.parent.is_dir()):
            raise ValueError(f"--picture is {str(options.picture)!r}, expected a .png in a folder that is there")
        contents = read_contents(options.file)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    summaries = {name: summary(values) for name, values in contents.tensors.items() if values.size}
    print("\n".join(_told(contents, summaries)))
    if options.picture is not None:
        from mapping.inspect.histograms import draw_histograms

        try:
            draw_histograms(contents, options.picture)
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    document = {"format": contents.format, **contents.facts, "tensors": {k: asdict(v) for k, v in summaries.items()}}
    print(json.dumps(document))
    return 0


def _told(contents: Contents, summaries: dict[str, Summary]) -> list[str]:
    lines = [f"format {contents.format}", *contents.lines, ""]
    width = max(map(len, summaries), default=0)
    for name, one in summaries.items():
        bits = "" if one.bits is None else f", fits {one.bits} bits"
        lines.append(
            f"{name:{width}}  {one.dtype} {list(one.shape)}: {one.least:.6g} to {one.greatest:.6g}, "
            f"mean {one.mean:.3g}, spread {one.spread:.3g}, {one.zeros:.1%} zeros{bits}"
        )
    return lines
