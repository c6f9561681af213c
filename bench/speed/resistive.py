"""How fast resistors are settled beside SPICE: `python -m bench.speed resistive`."""

from __future__ import annotations

import time

import numpy as np
import torch

from bench.evaluate import one_thread_each
from bench.speed.timing import Speed, check_counts, fastest
from hw.resistive.links import DenseResistors
from hw.resistive.netlist import netlist
from hw.resistive.network import Layer, ResistiveNetwork, free_layer
from hw.resistive.settling import settle
from hw.resistive.solver import Solver
from hw.resistive.spice import SpiceError, check_installed, run_spice
from models.command_line import before_work


def speed_resistive(inputs: int = 196, hidden: int = 100, outputs: int = 10, images: int = 256) -> Speed:
    """The point of rest of one image beside ngspice on the same network, in a batch and alone; voltages are compared.

    One thread. Random conductances up to 25 uS, doubled inputs, excitatory and inhibitory nodes. seconds: per image;
    SPICE is run twice on one image, its netlist read and set up as for every image. `_32` is the network of 32 inputs
    and 32 hidden nodes. `gap_v` is the largest distance of a node.
    """
    check_counts(inputs=inputs, hidden=hidden, outputs=outputs, images=images)
    with before_work():
        try:
            check_installed()
        except SpiceError as error:
            raise ValueError(str(error)) from error
    seconds: dict[str, float] = {}
    ratios: dict[str, float] = {}
    others: dict[str, float | None] = {}
    with one_thread_each(), torch.no_grad():
        for suffix, sizes in (("", (inputs, hidden, outputs)), ("_32", (32, 32, outputs))):
            network = random_network(sizes)
            shown = torch.as_tensor(np.random.default_rng(1).random((images, sizes[0])))
            solver = Solver(network)
            sources = solver.sources(shown)
            batch = fastest({"batch": lambda s=solver, x=sources: settle(s, x)})["batch"] / images  # type: ignore[misc]
            alone = fastest({"alone": lambda s=solver, x=sources[:1]: settle(s, x)})["alone"]  # type: ignore[misc]
            text = netlist(network, shown[0].numpy(), "op")
            began = time.perf_counter()
            runs = [run_spice(text) for _ in range(2)]
            spice = min(run.wall_s for run in runs)
            volts = settle(solver, sources[:1]).volts
            pairs = zip(runs[0].volts(network), volts, strict=True)
            gap = max(float(np.abs(theirs[-1] - ours[0].numpy()).max()) for theirs, ours in pairs)
            seconds |= {f"batch{suffix}": batch, f"alone{suffix}": alone, f"spice{suffix}": spice}
            ratios |= {f"spice_over_resistive{suffix}": spice / batch, f"spice_over_alone{suffix}": spice / alone}
            others |= {f"gap_v{suffix}": gap, f"resistors{suffix}": float(network.resistors)}
            others[f"spice_wall_s{suffix}"] = time.perf_counter() - began
    return Speed(seconds, f"per image, ours in batches of {images} and alone", ratios, others)


def random_network(sizes: tuple[int, int, int]) -> ResistiveNetwork:
    """Doubled inputs, one hidden layer with diodes, outputs without."""
    rng = np.random.default_rng(0)
    inputs, hidden, outputs = sizes
    plus, minus = (25e-6 * rng.random((hidden, inputs)) ** 3 for _ in range(2))
    even, nothing = np.arange(hidden) % 2 == 0, np.zeros(hidden)
    sided = Layer(np.where(even, 0.0, -np.inf), np.where(even, np.inf, 0.0), nothing, nothing)
    links = (DenseResistors(plus, minus), DenseResistors(25e-6 * rng.random((outputs, hidden)) ** 3))
    return ResistiveNetwork(links, (sided, free_layer(outputs)), (None,), 1.0)
