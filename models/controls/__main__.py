"""Keep finished networks as controls:  python -m models.controls results/hw-cifar10-short-twin-0.safetensors

Packs each (`models.controls.packed`) into a folder, with its manifest, to which what the packed network gets right is
added: all figures on controls are of what was packed. Exit code 2 for a bad option, 1 for a run that failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from models.command_line import ConfigError, before_work, exit_code, refuse_empty
from models.controls import FOLDER, load_control
from models.controls.classifier import evaluate_classifier
from models.controls.packed import load_packed, save_packed
from models.data import Dataset, load_data
from models.ep.evaluation import Score
from models.ep.network import EPNetwork
from models.fast.evaluation import evaluate_fast
from models.files.checkpoint import SUFFIX
from models.train.manifest import scored, write_manifest
from models.train.place import check_free
from models.zoo.manifests import manifest_of


def keep(
    files: tyro.conf.Positional[tuple[Path, ...]],
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None,
    folder: Annotated[Path, tyro.conf.arg(metavar="DIR")] = FOLDER,
) -> None:
    """Pack networks, and measure what was packed.

    Args:
        files: Checkpoints with their manifests.
        data_dir: Where the files of their data sets are; they are downloaded otherwise.
        folder: Where the packed ones go.
    """
    with before_work():
        if not files:
            raise ConfigError(f"no {SUFFIX} file is given")
        manifests = {file: manifest_of(str(file)) for file in files}
        controls = {file: load_control(str(file)) for file in files}
        for file in files:
            check_free(folder / file.name)
    for file, manifest in manifests.items():
        packed, data = folder / file.name, load_data(manifest["data"], data_dir)
        save_packed(controls[file], packed)
        found = {
            split: scored(measured(load_packed(packed), manifest, data, split)) for split in ("validation", "test")
        }
        write_manifest(packed, {**manifest, "packed": {"weights": "8 bits, a scale for every filter", **found}})
        print(json.dumps({"control": str(packed), "float": manifest["test"]["accuracy"], "packed": found["test"]}))


def measured(control: Any, manifest: dict[str, Any], data: Dataset, split: str) -> Score:
    """As the manifest says that networks of its kind are: settled for their steps in bfloat16, or by one pass."""
    images = getattr(data, split)
    if not isinstance(control, EPNetwork):
        return evaluate_classifier(control, images)
    dtype = getattr(torch, manifest["hyperparameters"]["arithmetic"])
    return evaluate_fast(control, images, sweeps=manifest["hyperparameters"]["steps"] // 2, dtype=dtype)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def work() -> None:
        refuse_empty(given)
        tyro.cli(keep, args=given, prog="python -m models.controls")

    return exit_code(work, batch=lambda: "fewer files", stopped=lambda: "stopped: what was packed whole is kept")


if __name__ == "__main__":
    sys.exit(main())
