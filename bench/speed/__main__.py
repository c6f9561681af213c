"""`python -m bench.speed NAME`: how fast, measured here and now, all cases in one run; `NAME --help` lists its options.

Prints a table and, as the last line, {"name": NAME, "seconds": {case: ...}, "ratios": {case: ...}, "others": {...},
"unit": ..., "clock": ..., "environment": {...}}. A case is the fastest of several repetitions, interleaved so that a
busy moment of the computer does not fall on one case alone. Cases that compute in one thread of this process are
measured in processor time, which other programs do not lengthen; `clock` says which clock it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.table import Table

from models.command_line import exit_code, refuse_empty

if TYPE_CHECKING:
    from bench.speed.timing import Speed

SPEEDS = {
    "lava": ("bench.speed.lava", "settling on Lava beside torch on the same work, and beside stock Lava processes"),
    "crossbar": ("bench.speed.crossbar", "a tile read beside the bare matrix product, and beside aihwkit"),
    "attack": ("bench.speed.attack", "attacks on the engine beside gradients through every step"),
    "brian": ("bench.speed.brian", "settling in Brian beside torch: rates and spikes, by operators and by synapses"),
    "dies": ("bench.speed.dies", "noisy dies that settle together beside one after the other, on a CPU or a GPU"),
    "ledger": ("bench.speed.ledger", "counting what a machine does beside doing it"),
    "learning": ("bench.speed.learning", "updates on Lava beside torch"),
    "resistive": ("bench.speed.resistive", "resistors at rest beside SPICE on the same network"),
    "settle": ("bench.speed.engine", "the seed network on the engine beside plain settling"),
    "train": ("bench.speed.engine", "a training step on the engine beside the plain one"),
    "sweep": ("bench.speed.sweep", "rows of a sweep by one worker and by two, and what scheduling adds to each"),
}
"""Where `speed_NAME` is, and what it times."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for a name that is not measured here or an option it does not have."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name, options = "".join(arguments[:1]), list(arguments[1:])
    if name in ("-h", "--help"):
        print("python -m bench.speed NAME [OPTIONS]; NAME --help lists the options\n")
        print("\n".join(f"  {choice:10}{what}" for choice, (_, what) in SPEEDS.items()))
        return
    if name not in SPEEDS or (options and not options[0].startswith("-")):
        words = " ".join(arguments) or "nothing"
        print(f"error: {words!r} cannot be timed, choices are {', '.join(SPEEDS)}", file=sys.stderr)
        raise SystemExit(2)
    module, _ = SPEEDS[name]
    timed = getattr(import_module(module), f"speed_{name}")

    def work() -> None:
        refuse_empty(options)
        show(name, tyro.cli(timed, args=options, prog=f"python -m bench.speed {name}"))

    code = exit_code(work, batch=lambda: "a smaller --batch", stopped=lambda: "stopped: nothing is kept")
    if code:
        raise SystemExit(code)


def show(name: str, speed: Speed) -> None:
    """Print the table for people, and the last line."""
    from bench.records.environment import environment

    table = Table("case", f"seconds {speed.unit}", title=f"speed of {name}, {speed.clock} time", title_justify="left")
    for case, value in speed.seconds.items():
        table.add_row(case, f"{value:.3g}")
    for case, value in speed.ratios.items():
        table.add_row(case, f"{value:.2f} x")
    for case, other in speed.others.items():
        table.add_row(case, "-" if other is None else f"{other:.4g}")
    Console().print(table)
    figures = {"name": name, "seconds": speed.seconds, "ratios": speed.ratios, "others": speed.others}
    print(json.dumps({**figures, "unit": speed.unit, "clock": speed.clock, "environment": environment(speed.device)}))


if __name__ == "__main__":
    main()
