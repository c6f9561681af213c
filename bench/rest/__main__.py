"""`python -m bench.rest`: how long does the circuit of each trained network take to rest, and does its slowest mode
say so?

Every network settles as rates in continuous time. An image rests once no state is farther than 1 % of the range of a
state from where it ends. Near rest a disturbance in the slowest mode falls as exp(-(1 - r) t / tau), with r the
spectral radius of the settling map (models.ep.feedback): from the whole range to 1 % of it takes ln(100) / (1 - r) time
constants.
Prints a table and, as the last line, one JSON document, which --output also writes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from bench.command_line import ConfigError, choose, option
from models.command_line import before_work, exit_code, refuse_empty

PART = 0.01


@dataclass(frozen=True)
class Rest:
    """One network, over its images."""

    model: str
    images: int
    mean_tau: float
    """Time to rest in time constants."""
    max_tau: float
    radius: float
    """Spectral radius of the settling map at rest, median."""
    radius_max: float
    predicted_tau: float
    """ln(100) / (1 - radius), of the median radius."""


def rest(
    model: Annotated[tuple[str, ...], option("NAME..", "the zoo")] = (),
    images: Annotated[int, option("N")] = 8,
    duration_tau: Annotated[float, option("X")] = 80.0,
    dt_tau: Annotated[float, option("X")] = 0.2,
    data_dir: Annotated[Path | None, option("DIR", "downloaded")] = None,
    output: Annotated[Path | None, option("FILE")] = None,
) -> None:
    """How long circuits take to rest, beside what the slowest mode says.

    Args:
        model: Networks of the zoo.
        images: Test images of each.
        duration_tau: Time constants for which they settle.
        dt_tau: Step of the integration in time constants.
        data_dir: Folder with the authors' files.
        output: Also write the JSON document here.
    """
    from bench.records.environment import environment
    from models.data import load_data
    from models.files.whole import write_atomically
    from models.zoo import load_model, zoo_names
    from models.zoo.manifests import trained_on

    for name in model:
        choose("--model", name, zoo_names())
    if images < 1:
        raise ConfigError(f"--images is {images}, must be at least 1")
    found: list[Rest] = []
    for name in model or zoo_names():
        with before_work():
            shown = load_data(trained_on(name), data_dir).test.at_most(images).floats()
            measured = _measure(name, load_model(name), shown, duration_tau, dt_tau)
        found.append(measured)
        print(f"{name}: {measured.mean_tau:.1f} tau", file=sys.stderr, flush=True)
    document = {"rest": [asdict(one) for one in found], "dt_tau": dt_tau, "duration_tau": duration_tau}
    text = json.dumps({**document, "environment": environment("cpu")})
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(output, (text + "\n").encode())
    _show(found)
    print(text)


def _measure(name: str, network: Any, shown: Any, duration_tau: float, dt_tau: float) -> Rest:
    import torch

    from hw.brian.options import Simulation
    from mapping.machines import to_brian
    from models.ep.feedback import radii

    simulation = Simulation(dt_tau=dt_tau, linear="operator")
    with to_brian(network, duration_tau=duration_tau, simulation=simulation, batch_size=4, tolerance=PART) as machine:
        settled = machine.settle(shown.numpy())
    assert settled.rest_s is not None, "it has no clock"
    taken = settled.rest_s / simulation.tau_s
    slow = radii(network, shown, tuple(torch.as_tensor(state) for state in settled.states))
    radius = float(slow.median())
    predicted = log(1 / PART) / max(1 - radius, 1e-9)
    return Rest(name, len(shown), float(taken.mean()), float(taken.max()), radius, float(slow.max()), predicted)


def _show(found: Sequence[Rest]) -> None:
    table = Table(
        "network", "rest, tau", "slowest image", "radius (to)", "ln(100) / (1 - r), tau", title_justify="left"
    )
    for one in found:
        cells = (f"{one.mean_tau:.1f}", f"{one.max_tau:.1f}", f"{one.radius:.2f} ({one.radius_max:.2f})")
        table.add_row(one.model, *cells, f"{one.predicted_tau:.1f}")
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for options that cannot be used."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def work() -> None:
        refuse_empty(given)
        tyro.cli(rest, args=given, prog="python -m bench.rest", config=(tyro.conf.FlagCreatePairsOff,))

    if code := exit_code(work, batch=lambda: "fewer --images", stopped=lambda: "stopped: nothing is kept"):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
