"""Energy of processor packages and their memory: Linux powercap, files in /sys/class/powercap.

Domains overlap: core and uncore are part of package, and psys holds it, so only package and dram are added, of every
socket. A counter starts again at zero after `max_energy_range_uj` (minutes to hours). One that stands lower than before
has done so if less than half of its range went by, and else went backwards: read at least twice in a range. Linux lets
only root read it, and virtual machines have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hw.meters.meter import CounterError, Meter, Missing

POWERCAP = Path("/sys/class/powercap")
CPUS = Path("/sys/devices/system/cpu")


class Powercap:
    """The packages and memories of all sockets, in joules since the meter was made."""

    def __init__(self, domains: Sequence[Path], cpus: Path = CPUS) -> None:
        self._domains, self._cpus = tuple(domains), cpus
        self._names = [_text(domain / "name") for domain in domains]
        self._last: list[int] | None = None
        self._total_uj = 0

    @property
    def name(self) -> str:
        """The kinds of domains that are added, and how many packages there are."""
        kinds = " + ".join(sorted({name.partition("-")[0] for name in self._names}))
        packages = sum(name.startswith("package") for name in self._names)
        return f"powercap {kinds}" + (f" of {packages} packages" if packages > 1 else "")

    @property
    def device(self) -> str:
        """The domains."""
        return ", ".join(self._names)

    def read(self) -> float:
        """Joules since the first reading, through overflows."""
        now, ranges = [], []
        for domain in self._domains:
            try:
                now.append(int(_text(domain / "energy_uj")))
                ranges.append(int(_text(domain / "max_energy_range_uj")))
            except (OSError, ValueError) as error:
                raise CounterError(f"{self.name}: {domain / 'energy_uj'} cannot be read: {error}") from error
        for domain, value, most in zip(self._domains, now, ranges, strict=True):
            if not 0 <= value <= most:
                raise CounterError(f"{self.name}: {domain / 'energy_uj'} is {value}, it counts from 0 to {most}")
        for domain, value, before, most in zip(self._domains, now, self._last or now, ranges, strict=True):
            went = value - before if value >= before else value + most - before
            if value < before and went > most / 2:
                raise CounterError(
                    f"{self.name}: {domain / 'energy_uj'} went backwards, from {before} to {value} of {most}: or is it "
                    "read less than twice in its range?"
                )
            self._total_uj += went
        self._last = now
        return self._total_uj * 1e-6

    def clocks_hz(self) -> Mapping[str, float]:
        """The mean clock of all processors, where the kernel says."""
        files = sorted(self._cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
        try:
            clocks = [1e3 * int(_text(file)) for file in files]
        except (OSError, ValueError):
            return {}
        return {"cpu": sum(clocks) / len(clocks)} if clocks else {}


def open_powercap(root: Path, cpus: Path = CPUS) -> Meter | Missing:
    """The packages and memories below `root`, or why none can be counted."""
    if not root.is_dir():
        return Missing(f"{root} is missing: this kernel, or virtual machine, has no powercap")
    domains = []
    # "intel-rapl" is the driver of AMD processors too; "intel-rapl-mmio" would count the same packages again
    for domain in sorted(root.glob("intel-rapl:*")):
        try:
            kind = _text(domain / "name")
            if kind.startswith("package") or kind == "dram":
                _text(domain / "energy_uj")
                domains.append(domain)
        except OSError as error:
            return Missing(f"{error.filename} cannot be read: {error.strerror}; Linux lets only root")
    if not domains:
        return Missing(f"{root} has no package that is counted")
    return Powercap(domains, cpus)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
