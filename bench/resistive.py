"""`python -m bench.resistive`: what resistors that settle by themselves give: noise, time, energy.

Writes a folder: report.md, results.json and figures. Sweeps accuracy over dies against the noise of devices and the
offsets of amplifiers; draws how the voltages of one image settle and where the power goes; and sets joules per image
beside those of a clocked crossbar, Loihi and a GPU with the same answers, under all assumptions, and beside the thermal
limit. How dies repair themselves: `python -m bench.learn repair --backend resistive`. The last line of stdout is the
results as one JSON document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from models.command_line import before_work, exit_code, refuse_empty

if TYPE_CHECKING:
    from bench.studies.resistive import Study

HOURS = 1.0


@dataclass(frozen=True)
class ResistiveStudyOptions:
    """Noise, time and energy of a resistive network, beside other machines."""

    model: Annotated[str, tyro.conf.Positional] = "drn-digits"
    """A resistive network of the zoo, or a checkpoint of one."""
    data_dir: Path | None = None
    """Where the files of the data set are; digits need none."""
    output: Path = Path("results/resistive")
    """Folder to write."""
    limit: int | None = None
    """No more test images than that."""
    device: str = "pcm-nandakumar-2019"
    """Device of the dies, a preset of crossbars."""
    dies: int = 5
    """Dies at every point."""
    noise: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Noise of the devices, times the published one, which is always among them."""
    offset_mv: tuple[float, ...] = (0.0, 0.3, 1.0, 3.0, 10.0)
    """Spread of the offsets of what senses outputs, in mV, with a supply of 1 V."""
    seed: int = 0
    """Of dies."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(ResistiveStudyOptions, args=arguments, prog="python -m bench.resistive")

    def work() -> None:
        refuse_empty(arguments)
        print(json.dumps(run(options)))

    return exit_code(work, batch=lambda: "--limit", stopped=lambda: "stopped: nothing is kept")


def run(options: ResistiveStudyOptions) -> dict[str, Any]:
    """All parts, and the folder."""
    from bench.records.environment import environment
    from bench.studies import resistive, resistive_report

    with before_work():
        study = checked(options)
    published = resistive.noise_sweep(study, (1.0,))
    rest = [scale for scale in options.noise if scale != 1.0]
    noise = sorted(published + resistive.noise_sweep(study, rest), key=lambda row: float(row["noise"]))
    results: dict[str, Any] = {
        "model": options.model,
        "images": len(study.labels),
        "device": options.device,
        "hours": HOURS,
        "dies": options.dies,
        "environment": environment("cpu"),
        "exact": resistive.exact(study),
        "noise": noise,
        "offset": resistive.offset_sweep(study, options.offset_mv),
        "energy": resistive.energy(study, published[0]["accuracy"]),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    resistive_report.write(results, options.output)
    resistive_report.draw(study, results, options.output)
    return results


def checked(options: ResistiveStudyOptions) -> Study:
    """Everything loaded; ValueError names the option that cannot be used."""
    from bench.command_line import choose
    from bench.studies.resistive import study_of
    from hw.crossbar.devices.presets import PRESETS

    choose("--device", options.device, tuple(PRESETS))
    limit = 1 if options.limit is None else options.limit
    for flag, count in (("--dies", options.dies), ("--limit", limit)):
        if count < 1:
            raise ValueError(f"{flag} is {count}, must be at least 1")
    for flag, values in (("--noise", options.noise), ("--offset-mv", options.offset_mv)):
        if not values or not all(0 <= value < 1e4 for value in values):
            raise ValueError(f"{flag} is {list(values)}, must be numbers from 0 to 10,000")
    PRESETS[options.device].check_time(3600 * HOURS)
    return study_of(options)


if __name__ == "__main__":
    sys.exit(main())
