"""A circuit as a graph of Lava processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg

from hw.circuit import FixedNeuron
from hw.lava.board import Place, place
from hw.lava.messages import Job
from hw.lava.processes.layer import Layer
from hw.lava.processes.link import Link
from hw.lava.processes.readout import Readout
from hw.lava.processes.rest import Rest
from hw.lava.processes.source import Source

CHANNEL_SLOTS = 2
"""Messages a channel holds. Lava's default of 64 would reserve gigabytes of shared memory for batched states."""


@dataclass(frozen=True)
class Graph:
    """Connected processes with their places on the board, in the order of the chain."""

    source: Source
    links: tuple[Link, ...]
    layers: tuple[Layer, ...]
    readout: Readout
    rest: Rest | None
    places: tuple[Place, ...]
    feeds: dict[tuple[str, str], tuple[str, ...]]
    """What sends to each in-port: (process, port) to "process.port" names."""
    run_config: Loihi2SimCfg

    @property
    def processes(self) -> tuple[AbstractProcess, ...]:
        """All processes."""
        rest = () if self.rest is None else (self.rest,)
        return (self.source, *self.links, *self.layers, self.readout, *rest)


def build_graph(job: Job) -> Graph:
    """Processes and connections of a circuit; fails before anything is started if the machine cannot hold it."""
    circuit = job.circuit
    places: list[Place] = []

    def common(kind: type[AbstractProcess], name: str) -> dict[str, Any]:
        ports = (*PORTS[kind.__name__],)
        places.append(place(len(places), name, ports))
        return {"name": name, "steps": job.steps, "batch": job.batch, "place": places[-1]}

    # counted events must come out whole: float32 holds whole numbers to 2**24
    tables = [
        np.ascontiguousarray(table.T, np.float32 if table.sum() < 2**24 else np.float64) for table in circuit.traffic
    ]
    neuron = circuit.neuron
    fixed = isinstance(neuron, FixedNeuron)
    source = Source(shape=circuit.input_shape, traffic=tables[0], **common(Source, "source"))
    links = tuple(Link(wire=wire, **common(Link, f"link{index}")) for index, wire in enumerate(circuit.wires, start=1))
    layers = tuple(
        Layer(
            shape=wire.above,
            bias=circuit.biases[index],
            exponent=neuron.exponents[index] if isinstance(neuron, FixedNeuron) else 0,
            one=neuron.one,
            traffic=tables[index + 1],
            threshold=job.delta_threshold,
            tolerance=job.tolerance,
            trace=job.trace,
            **common(Layer, f"layer{index + 1}"),
        )
        for index, wire in enumerate(circuit.wires)
    )
    readout = Readout(
        shape=circuit.layers[-1],
        classes=circuit.classes,
        weight=None if circuit.readout is None else circuit.readout.weight,
        bias=circuit.readout_bias,
        **common(Readout, "readout"),
    )
    rest = None if job.tolerance is None else Rest(**common(Rest, "rest"))

    source.s_out.connect(links[0].s_below)
    for index, (link, layer) in enumerate(zip(links, layers, strict=True)):
        link.a_up.connect(layer.a_in)
        if index:
            # the input is clamped: its link hears nothing from above while the network only infers
            link.a_down.connect(layers[index - 1].a_in)
            layer.s_out.connect(link.s_above)
        layer.s_out.connect(links[index + 1].s_below if index + 1 < len(links) else readout.s_in)
        if rest is not None:
            layer.moving_out.connect(rest.moving_in)
            rest.at_rest_out.connect(layer.at_rest_in)

    tag = "floating_pt" if not fixed else "fixed_pt" if job.delta_threshold is None else "fixed_pt_delta"
    kinds = {kind.__name__: kind for kind in (Source, Link, Layer, Readout, Rest)}
    unknown = sorted(set(job.process_models) - set(kinds))
    if unknown:
        raise ValueError(f"process model for unknown process {unknown[0]!r}; processes are {', '.join(kinds)}")
    own = {kinds[name]: _imported(path) for name, path in job.process_models.items()}
    processes = (source, *links, *layers, readout, *(() if rest is None else (rest,)))
    _check_shared_memory(processes)
    return Graph(
        source,
        links,
        layers,
        readout,
        rest,
        tuple(places),
        _feeds(processes),
        Loihi2SimCfg(select_tag=tag, exception_proc_model_map=own),
    )


PORTS = {
    "Source": ("images_in", "s_out", "report_out"),
    "Link": ("s_below", "s_above", "a_up", "a_down"),
    "Layer": ("a_in", "s_out", "at_rest_in", "moving_out", "state_out", "report_out", "trace_out"),
    "Readout": ("s_in", "scores_out"),
    "Rest": ("moving_in", "at_rest_out", "steps_out"),
}


def _imported(path: str) -> type:
    module, _, name = path.partition(":")
    found: type = getattr(import_module(module), name)
    return found


def _feeds(processes: tuple[AbstractProcess, ...]) -> dict[tuple[str, str], tuple[str, ...]]:
    feeds: dict[tuple[str, str], tuple[str, ...]] = {}
    for process in processes:
        for port in process.out_ports:
            for target in port.get_dst_ports():
                key = (target.process.name, target.name)
                feeds[key] = (*feeds.get(key, ()), f"{process.name}.{port.name}")
    return feeds


def _check_shared_memory(processes: tuple[AbstractProcess, ...]) -> None:
    """Refuse a graph whose channels do not fit: Lava would die of a bus error in the middle of the run."""
    folder = Path("/dev/shm")
    if not folder.exists():
        return
    words = 0  # of four bytes; what goes to the host in one piece per batch is float64
    for process in processes:
        for port in (*process.out_ports, *process.in_ports):
            ends = len(port.get_dst_ports()) if isinstance(port, OutPort) else 0
            ends += getattr(port, "external_pipe_flag", False)
            words += ends * int(np.prod(port.shape)) * (2 if port.name in ("report_out", "scores_out") else 1)
    need = words * 4 * CHANNEL_SLOTS
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if need > free:
        batch = processes[0].images_in.shape[-1]
        raise ValueError(
            f"the channels of this graph need {need / 2**20:.0f} MiB of shared memory, {folder} has "
            f"{free / 2**20:.0f} MiB free: a batch of at most {int(batch * free / need)} would fit"
        )


def pipe(port: InPort | OutPort) -> Any:
    """The host's end of an external pipe."""
    return port.external_pipe_csp_send_port if isinstance(port, InPort) else port.external_pipe_csp_recv_port
