"""ngspice: runs a netlist, and reads back voltages, currents and times."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import numpy as np
from numpy.typing import NDArray

from hw.resistive.network import ResistiveNetwork

Array = NDArray[np.float64]
PROGRAM, PACKAGE = "ngspice", "ngspice"
"""The command, and the Debian package it is in."""
PATIENCE_S = 600.0


class SpiceError(RuntimeError):
    """ngspice is missing, or gave no answer; the message says what it said."""


@dataclass(frozen=True)
class SpiceRun:
    """What ngspice found: every quantity by name, (points,), and the seconds it took."""

    values: dict[str, Array]
    wall_s: float

    def volts(self, network: ResistiveNetwork) -> list[Array]:
        """Voltages of layers 1..L, (points, units)."""
        return [
            np.stack([self.values[f"v(u{number}_{k})"] for k in range(units)], axis=-1)
            for number, units in enumerate(network.units, start=1)
        ]

    def delivered_w(self, network: ResistiveNetwork) -> float:
        """Watts that sources, bias currents and amplifiers bring in at the last point."""
        found = {name: float(values[-1]) for name, values in self.values.items()}
        total = 0.0
        for rail, node in (("x", "a"), ("y", "m")):
            for j in range(int(np.prod(network.links[0].below))):
                if f"i(v{rail}{j})" in found:
                    total -= found[f"i(v{rail}{j})"] * found[f"v({node}0_{j})"]
        for number, layer in enumerate(network.layers, start=1):
            for k, bias in enumerate(layer.bias_a):
                total += float(bias) * found[f"v(u{number}_{k})"]
        for number, row in enumerate(network.amplifiers, start=1):
            for k in range(network.units[number - 1]):
                back = 1.0 if row is None else float(row.back[k])
                v, name = found[f"v(u{number}_{k})"], f"{number}_{k}"
                total += found[f"i(vs{name})"] * (found[f"v(a{name})"] - back * v)
                if f"i(vm{name})" in found:
                    total += found[f"i(vm{name})"] * (found[f"v(m{name})"] + back * v)
        return total


def check_installed() -> None:
    """SpiceError names the package that is missing."""
    if which(PROGRAM) is None:
        raise SpiceError(f"{PROGRAM} is not installed: it is in the package {PACKAGE} (apt-get install {PACKAGE})")


def run_spice(text: str, patience_s: float = PATIENCE_S) -> SpiceRun:
    """Run a netlist that writes out.raw in binary.

    Raises:
        SpiceError: ngspice is missing, took longer than `patience_s`, or wrote nothing.
    """
    check_installed()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.cir").write_text(text, encoding="utf-8")
        began = time.perf_counter()
        try:
            done = subprocess.run(
                [PROGRAM, "-b", "net.cir"], cwd=folder, capture_output=True, text=True, timeout=patience_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise SpiceError(f"{PROGRAM} has no answer after {patience_s:g} s") from error
        wall_s = time.perf_counter() - began
        raw = Path(folder) / "out.raw"
        if not raw.exists():
            said = " ".join((done.stdout + done.stderr).split()[-40:])
            raise SpiceError(f"{PROGRAM} gave no answer: {said}")
        return SpiceRun(read_raw(raw.read_bytes()), wall_s)


def read_raw(content: bytes) -> dict[str, Array]:
    """The quantities of a binary raw file of one plot, by name in small letters."""
    header, _, body = content.partition(b"Binary:\n")
    lines = header.decode().splitlines()
    count = next(int(line.split(":")[1]) for line in lines if line.startswith("No. Variables"))
    first = lines.index("Variables:") + 1
    names = [line.split()[1].lower() for line in lines[first : first + count]]
    values = np.frombuffer(body, dtype="<f8").reshape(-1, count)
    return {name: values[:, i] for i, name in enumerate(names)}
