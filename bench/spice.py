"""`python -m bench.spice MODEL --image N`: our point of rest beside that of SPICE, for one image on one network.

The network, resistor by resistor, is written as a netlist and solved by ngspice (`ngspice -b`, Debian package ngspice);
the table shows outputs, the largest distance of any node, and power. With --transient also when both are settled.
The last line is one JSON document. Exit code 2 for options that cannot be used and where ngspice is missing, 1 where it
fails.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from models.command_line import before_work, exit_code, refuse_empty

if TYPE_CHECKING:
    from hw.resistive.diodes import Diode
    from hw.resistive.network import ResistiveNetwork

DIODES = ("ideal", "knee", "silicon", "schottky")
Kind = Literal["ideal", "knee", "silicon", "schottky"]


@dataclass(frozen=True)
class SpiceOptions:
    """One network, one image: ours beside SPICE's."""

    model: Annotated[str, tyro.conf.Positional] = "drn-digits"
    """A resistive network of the zoo, a checkpoint, or any network that resistors express."""
    image: int = 0
    """Number of the test image, from 0."""
    data_dir: Path | None = None
    """Where the files of the data set are; digits need none."""
    diode: Kind = "ideal"
    """ideal; knee: 50 mV and 10 kOhm; silicon: 1e-14 A; schottky: 1e-7 A, n = 1.05, 500 Ohm."""
    supply_v: float = 1.0
    """Voltage of a pixel of 1."""
    transient: bool = False
    """Follow the voltages in time too; capacities of `hw.cost.resistive`."""
    netlist: Path | None = None
    """Keep the netlist here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(SpiceOptions, args=arguments, prog="python -m bench.spice")

    def work() -> None:
        refuse_empty(arguments)
        print(json.dumps(compare(options)))

    return exit_code(work, batch=lambda: "a smaller network", stopped=lambda: "stopped: nothing is kept")


def compare(options: SpiceOptions) -> dict[str, Any]:
    """Solve both ways and print the table; ValueError, before work starts, for what cannot be compared."""
    from hw.resistive.netlist import netlist
    from hw.resistive.power import dissipated_w
    from hw.resistive.settling import settle
    from hw.resistive.solver import Solver
    from hw.resistive.spice import SpiceError, check_installed, run_spice

    with before_work():
        network, pixels, label = _loaded(options)
        if options.transient and options.diode != "ideal":
            raise ValueError(f"--transient follows ideal diodes only, --diode is {options.diode}")
        text = netlist(network, pixels.numpy(), "op")
        try:
            check_installed()
        except SpiceError as error:
            raise ValueError(str(error)) from error
    if options.netlist is not None:
        options.netlist.write_text(text, encoding="utf-8")
    solver = Solver(network)
    sources = solver.sources(pixels[None])
    began = time.perf_counter()
    rest = settle(solver, sources)
    ours_s = time.perf_counter() - began
    found = run_spice(text)
    theirs = found.volts(network)
    off = max(float(abs(a[-1] - b[0].numpy()).max()) for a, b in zip(theirs, rest.volts, strict=True))
    watts = float(sum(part.sum() for part in dissipated_w(solver, sources, rest.volts).values()))
    document: dict[str, Any] = {
        "model": options.model,
        "image": options.image,
        "label": label,
        "diode": options.diode,
        "nodes": sum(network.units),
        "resistors": network.resistors,
        "ours_v": rest.volts[-1][0].tolist(),
        "spice_v": theirs[-1][-1].tolist(),
        "largest_gap_v": off,
        "residual_a": float(rest.residual_a),
        "power_w": watts,
        "spice_power_w": found.delivered_w(network),
        "sweeps": rest.sweeps,
        "ours_s": ours_s,
        "spice_s": found.wall_s,
    }
    if options.transient:
        document |= _in_time(network, pixels)
    _show(document)
    return document


def _loaded(options: SpiceOptions) -> tuple[ResistiveNetwork, Any, int]:
    from dataclasses import replace

    from mapping.resistive import resistive_of
    from models.data import load_data
    from models.zoo import load_model
    from models.zoo.manifests import trained_on

    network = resistive_of(load_model(options.model), input_v=options.supply_v).network
    test = load_data(trained_on(options.model), options.data_dir).test
    if not 0 <= options.image < len(test):
        raise ValueError(f"--image is {options.image}, there are test images 0 to {len(test) - 1}")
    pixels = test.floats()[options.image].double().flatten()
    return replace(network, diode=diode_of(options.diode)), pixels, int(test.labels[options.image])


def diode_of(kind: str) -> Diode:
    """The diode of that name."""
    from hw.resistive.diodes import Ideal, Junction, Knee

    kinds: dict[str, Diode] = {
        "ideal": Ideal(),
        "knee": Knee(0.05, 1e4),
        "silicon": Junction(1e-14),
        "schottky": Junction(1e-7, 1.05, 500.0),
    }
    return kinds[kind]


def _in_time(network: ResistiveNetwork, pixels: Any) -> dict[str, float]:
    """Seconds until all nodes stay within 0.1 % of where they end, by scipy and by SPICE."""
    import numpy as np

    from hw.resistive.dynamics import integrate, rest_s, time_constants_s
    from hw.resistive.netlist import netlist
    from hw.resistive.parasitics import Parasitics, node_capacities
    from hw.resistive.solver import Solver
    from hw.resistive.spice import run_spice

    solver, farad = Solver(network), node_capacities(network, Parasitics())
    tau_s = time_constants_s(solver, farad)[0]
    end_s = 14 * tau_s
    path = integrate(solver, solver.sources(pixels[None]), farad, np.linspace(0, end_s, 2001)[1:])
    step_s = end_s / 1000
    line = f"tran {step_s:.9g} {end_s:.9g} 0 {step_s:.9g} uic"
    found = run_spice(netlist(network, pixels.numpy(), line, [c.numpy() for c in farad]))
    ours = np.concatenate([layer[:, 0].numpy() for layer in path.volts], axis=1)
    theirs = np.concatenate(found.volts(network), axis=1)
    return {
        "tau_s": tau_s,
        "settled_s": rest_s(path.times_s, ours, 1e-3),
        "spice_settled_s": rest_s(found.values["time"], theirs, 1e-3),
    }


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "ours", "SPICE", title=f"{document['model']}, image {document['image']}", title_justify="left")
    for number, (ours, theirs) in enumerate(zip(document["ours_v"], document["spice_v"], strict=True)):
        table.add_row(f"output {number}", f"{1e3 * ours:.6f} mV", f"{1e3 * theirs:.6f} mV")
    table.add_row("power", f"{document['power_w']:.9e} W", f"{document['spice_power_w']:.9e} W")
    table.add_row("time to compute", f"{document['ours_s']:.3g} s", f"{document['spice_s']:.3g} s")
    if "settled_s" in document:
        table.add_row("settled to 0.1 %", f"{document['settled_s']:.4g} s", f"{document['spice_settled_s']:.4g} s")
    console = Console()
    console.print(table)
    console.print(
        f"{document['nodes']} nodes, {document['resistors']:,} resistors, {document['diode']} diodes; largest distance "
        f"of a node {document['largest_gap_v']:.2g} V, current left over {document['residual_a']:.2g} A"
    )


if __name__ == "__main__":
    sys.exit(main())
