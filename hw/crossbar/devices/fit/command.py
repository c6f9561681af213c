"""Fit a device to measurements:  python -m hw.crossbar.devices.fit curves.csv --output mine.toml --picture card.png

`--device-preset mine.toml` of `bench.run` takes what it writes. Exit code 2 for what cannot be fitted, 1 for files that
cannot be written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hw.crossbar.devices.device_file import load_device
from hw.crossbar.devices.fit.card import draw_card
from hw.crossbar.devices.fit.laws import Fit, Named, fit_device
from hw.crossbar.devices.fit.measurements import read_measurements
from hw.crossbar.devices.fit.to_toml import device_toml

READ_V, READ_S = 0.2, 250e-9


@dataclass(frozen=True)
class FitOptions:
    """What is fitted, and where it goes."""

    measurements: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="CSV")]]
    """Table kind,device,target_s,seconds,pulse,g_s: see hw/crossbar/devices/fit/measurements.py."""
    output: Annotated[Path, tyro.conf.arg(metavar="TOML")]
    """Device file to write."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="PNG")] = None
    """Card to draw: the laws and the measured points."""
    name: str | None = None
    """Name of the device in reports; that of the output file if not given."""
    source: str | None = None
    """Who measured what, where; the table if not given."""
    read_v: float | None = None
    """Voltage of the largest input; 0.2 V if not given, and said in the file."""
    read_s: float | None = None
    """Seconds of one read pulse; 250 ns if not given, and said in the file."""
    force: bool = False
    """Replace files that are there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = tyro.cli(
        FitOptions,
        args=arguments,
        prog="python -m hw.crossbar.devices.fit",
        description="Fit a device to measured conductances: programming, read noise, drift and write pulses.",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    try:
        _check(options)
        fit = fit_device(read_measurements(options.measurements), _named(options))
        text = device_toml(fit.device)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        part = options.output.with_name(f"{options.output.stem}.part.toml")
        part.write_text(text, encoding="utf-8")
        try:
            load_device(part)  # what is written is what the machines take
        except ValueError:
            part.unlink()
            raise
        part.replace(options.output)
        if options.picture is not None:
            draw_card(fit.device, fit.points, options.picture)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(_told(fit)))
    return 0


def _check(options: FitOptions) -> None:
    for flag, file, suffix in (("--output", options.output, ".toml"), ("--picture", options.picture, ".png")):
        if file is None:
            continue
        if file.suffix != suffix:
            raise ValueError(f"{flag} is {str(file)!r}, expected a file that ends in {suffix}")
        if not file.parent.is_dir():
            raise ValueError(f"{flag} is {str(file)!r}: there is no folder {str(file.parent)!r}")
        if file.exists() and not options.force:
            raise ValueError(f"{flag} {str(file)!r} exists: give another name, or --force to replace it")


def _named(options: FitOptions) -> Named:
    assumed = [
        text
        for text, value in ((f"read_v {READ_V} V", options.read_v), (f"read_s {READ_S:g} s", options.read_s))
        if value is None
    ]
    return Named(
        name=options.name or options.output.stem,
        source=options.source or f"fitted to {options.measurements.name}",
        read_v=READ_V if options.read_v is None else options.read_v,
        read_s=READ_S if options.read_s is None else options.read_s,
        assumed=", ".join(assumed),
    )


def _told(fit: Fit) -> list[str]:
    """What was fitted and how far the points are from it."""
    device = fit.device
    lines = [f"{device.name}: {device.g_min_s:g} S to {device.g_max_s:g} S"]
    for one in fit.points:
        lines.append(
            f"  {one.name}: {len(one.x)} points, law {one.rms:.1%} off (rms), at most {one.worst:.1f} standard errors"
        )
    for name, law, kind in (("retention", device.retention, "drift"), ("pulses", device.pulses, "pulse")):
        if law is None:
            lines.append(f"  {name}: none, the table has no {kind} lines")
    return [*lines, f"  assumed: {device.assumed}"] if device.assumed else lines
