"""The folder of an export: complete or not there, with a list of what is in it.

`export.json` says which format it is, of which model, with which options, and the sha256 of every file:

    {"schema": "ep-hardware export", "version": 1, "format": "program", "model": "digits", "model_sha256": "...",
     "calibration": {...}, "options": {...}, "files": {"program.safetensors": "..."}, ...}
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MANIFEST = "export.json"
SCHEMA = "ep-hardware export"
VERSION = 1


def check_folder(output: Path, force: bool) -> None:
    """Refuse a folder that must not be written: one that exists, or, with `force`, one that is no export."""
    if not output.exists() and not output.is_symlink():
        parent = next(one for one in output.absolute().parents if one.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise ValueError(f"--output {str(output)!r} cannot be made: {parent} is no folder that may be written to")
        return
    if not force:
        raise ValueError(f"--output {str(output)!r} exists: give another folder, or --force to replace it")
    if not output.is_dir() or output.is_symlink():
        raise ValueError(f"--output {str(output)!r} is not a folder, and is not replaced even with --force")
    if any(output.iterdir()) and not (output / MANIFEST).is_file():
        raise ValueError(f"--output {str(output)!r} holds no {MANIFEST}: only an export is replaced with --force")


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `output` once the block ends without an error.

    A reader finds the old folder or the new one, never a part. The old one is moved aside for the moment it takes to
    move the new one in, and deleted then.
    """
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    part, old = (output.with_name(f".{output.name}.{kind}{os.getpid()}") for kind in ("part", "old"))
    part.mkdir()
    try:
        yield part
        if output.exists():
            output.rename(old)
        try:
            part.rename(output)
        except OSError:
            if old.exists():
                old.rename(output)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def write_manifest(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Write export.json over everything that is in the folder; returns it."""
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = {"schema": SCHEMA, "version": VERSION, **content, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def changed_files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Files that are not what was written; ValueError names one that is missing."""
    files: dict[str, str] = manifest.get("files", {})
    for name in files:
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: {name} is missing, which {MANIFEST} lists")
    return [name for name, digest in files.items() if _sha256(folder / name) != digest]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """export.json of an export; ValueError names the file and what is wrong in it, such as a newer version."""
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} is no export: it holds no {MANIFEST}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not the list of an export: expected the schema {SCHEMA!r}")
    version = manifest.get("version")
    if type(version) is int and version > VERSION:
        raise ValueError(f"{path}: version {version} is newer than {VERSION}, the newest that this package reads")
    if version != VERSION:
        raise ValueError(f"{path}: version is {version!r}, this package reads {VERSION}")
    return manifest
