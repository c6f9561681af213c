"""Are corrupted images here those that everybody has?  python -m bench.corruptions cifar10 --data-dir FOLDER

Corrupts the test images of a data set in all ways and severities, and compares the sha256 of every array (N, H, W, C)
with the one kept in checksums.json, where one is. Prints what differs, images per second, and as the last line one JSON
document. JPEG and the libraries' logarithms may differ between machines; the images are then another draw of the same
law. Exit code 0 if all is as kept, 1 if something differs, 2 for a bad option.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

from bench.command_line import ConfigError, option
from bench.corruptions.corrupt import CORRUPTIONS, SEVERITIES, STYLE, corrupt
from models.command_line import before_work, exit_code, refuse_empty

CHECKSUMS = Path(__file__).with_name("checksums.json")
"""Of the test images of data sets in their order, seed 0: {"cifar10, 10000 images": {"gaussian_noise": [five], ..."""


def digests(images: NDArray[np.uint8], seed: int = 0) -> dict[str, list[str]]:
    """sha256 of the corrupted images as they lie in memory, for severities 1 to 5 of every corruption."""
    return {
        name: [hashlib.sha256(corrupt(images, name, severity, seed).tobytes()).hexdigest() for severity in SEVERITIES]
        for name in CORRUPTIONS
    }


def kept(label: str) -> dict[str, list[str]]:
    """The digests of images of that label; nothing where none are kept."""
    told: dict[str, dict[str, list[str]]] = json.loads(CHECKSUMS.read_text(encoding="utf-8"))
    return told.get(label, {})


def compare(
    data: tyro.conf.Positional[str] = "cifar10",
    data_dir: Annotated[Path | None, option("DIR", "downloaded")] = None,
    limit: Annotated[int | None, option("N", "all")] = None,
) -> dict[str, Any]:
    """Corrupt the test images of a data set in all ways, and compare them with those of the authors of this program.

    Args:
        data: Data set of 8-bit images: mnist, cifar10, cifar100, or your own.
        data_dir: Folder with the authors' files.
        limit: Only so many test images.
    """
    from models.data import load_data

    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}, must be at least 1")
    with before_work():
        test = load_data(data, data_dir).test
        if test.scale != 255:
            raise ConfigError(f"data {data!r} has pixels up to {test.scale}, corruptions take images of 8 bits")
    shown = test if limit is None else test.at_most(limit)
    images = shown.pixels.permute(0, 2, 3, 1).contiguous().numpy()
    began = monotonic()
    made = digests(images)
    rate = len(images) * len(CORRUPTIONS) * len(SEVERITIES) / (monotonic() - began)
    label = f"{data}, {len(images)} images"
    told = kept(label)
    differing = [
        f"{name} {severity}"
        for name, here in made.items()
        for severity, one, other in zip(SEVERITIES, here, told.get(name, here), strict=True)
        if one != other
    ]
    verdict = "nothing is kept to compare with" if not told else f"{len(differing)} differ {differing}".rstrip(" []")
    print(f"{STYLE} of {label}: {verdict}; {rate:.0f} images/s", file=sys.stderr)
    return {"style": STYLE, "images": label, "images_per_s": rate, "differing": differing, "sha256": made}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    found: list[dict[str, Any]] = []

    def work() -> None:
        refuse_empty(given)
        found.append(tyro.cli(compare, args=given, prog="python -m bench.corruptions"))
        print(json.dumps(found[0]))

    code = exit_code(work, batch=lambda: "a smaller --limit", stopped=lambda: "stopped: nothing is kept")
    return code or int(bool(found[0]["differing"]))


if __name__ == "__main__":
    sys.exit(main())
