"""What every machine answered to every image: one .npz beside the rows, so that anyone computes a metric of their own.

    answers/DIGEST.npz    labels: (N,), the classes that are right
                          clean, gaussian-0.1, ..: (dies, draws, N, classes) float32, the scores; the largest answers

The file of a row is named by the digest of its content, which the row holds (`answers`). It is written whole, before
its row: a row that is there has its answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bench.command_line import ConfigError
from models.files.whole import write_atomically

ANSWERS = "answers"
"""Folder, in that of a run or a sweep."""
CLEAN, LABELS = "clean", "labels"
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """Of one row."""

    labels: NDArray[np.int64]
    """(N,)"""
    scores: Mapping[str, Scores]
    """(dies, draws, N, classes), of `clean` images and of every disturbance."""

    def answered(self, name: str = CLEAN) -> NDArray[np.int64]:
        """Classes, (dies, draws, N)."""
        return self.scores[name].argmax(axis=-1)

    def right(self, name: str = CLEAN) -> NDArray[np.float64]:
        """How often each die was right about each image, (dies, N): of a single draw 0 or 1."""
        return (self.answered(name) == self.labels).mean(axis=1, dtype=np.float64)

    @property
    def digest(self) -> str:
        """sha256 of everything in it, whatever the order."""
        digest = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.shape} {array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        return {LABELS: self.labels, **self.scores}

    def keep(self, folder: Path) -> str:
        """Write them into a folder, whole or not at all; gives their digest. OSError names the file."""
        content = BytesIO()
        np.savez_compressed(content, **self._arrays())
        digest = self.digest
        write_atomically(answers_file(folder, digest), content.getvalue())
        return digest


def answers_file(folder: Path, digest: str) -> Path:
    """Where the answers of this digest are kept."""
    return folder / f"{digest[:16]}.npz"


def read_answers(folder: Path, digest: str) -> Answers:
    """The answers that a row names; ConfigError where they are gone, damaged or others, says what to do."""
    file = answers_file(folder, digest)
    try:
        with np.load(file, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        made = Answers(arrays.pop(LABELS), arrays)
        if made.digest != digest:
            raise ValueError("not the answers that were written, their digest differs")
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise ConfigError(f"{file}: {error}; delete the row that names it to have both made again") from error
    return made
