"""How the integers of a network are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

STATE_BITS = (4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Calibration:
    """Quantization of a network, as `bench.run` does it; a MODEL that is a program already needs none."""

    state_bits: Annotated[int, tyro.conf.arg(metavar="N")] = 8
    """Bits of a state: 4 to 8."""
    data: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Data set whose first training images calibrate; the model's own if not given."""
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with the authors' files of the data; downloaded if not given."""
    images: Annotated[int, tyro.conf.arg(metavar="N")] = 256
    """Training images that calibrate."""
    steps: Annotated[int, tyro.conf.arg(metavar="T")] = 40
    """Steps that settle them."""

    def check(self) -> None:
        """ValueError names the option, its value and what it must be."""
        if self.state_bits not in STATE_BITS:
            raise ValueError(f"--state-bits is {self.state_bits}, choices are {', '.join(map(str, STATE_BITS))}")
        for name, value in (("--images", self.images), ("--steps", self.steps)):
            if value < 1:
                raise ValueError(f"{name} is {value}, must be at least 1")
        if self.data_dir is not None and not self.data_dir.is_dir():
            raise ValueError(f"--data-dir is {str(self.data_dir)!r}, expected a folder")

    def described(self) -> dict[str, Any]:
        """Of JSON types."""
        return {**asdict(self), "data_dir": None if self.data_dir is None else str(self.data_dir)}
