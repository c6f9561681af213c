"""A circuit as a graph of Lava processes that settles it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from numpy.typing import NDArray

from hw.circuit import FixedNeuron
from hw.lava.board import BoardRow, take_row
from hw.lava.graph import Graph, check_shared_memory, feeds_of, traffic_tables
from hw.lava.host import Host
from hw.lava.messages import Batch, Job
from hw.lava.processes.layer import Layer
from hw.lava.processes.link import Link
from hw.lava.processes.readout import Readout
from hw.lava.processes.rest import Rest
from hw.lava.processes.source import Source


@dataclass(frozen=True)
class SettlingGraph(Graph):
    """Processes in the order of the chain."""

    source: Source
    links: tuple[Link, ...]
    layers: tuple[Layer, ...]
    readout: Readout
    rest: Rest | None


def build_settling_graph(job: Job) -> SettlingGraph:
    """Processes and connections of a circuit; fails before anything is started if the machine cannot hold it."""
    rows: list[BoardRow] = []
    source, links, layers, readout, rest = _processes(job, rows)
    _connect(source, links, layers, readout, rest, feedback=job.circuit.feedback)
    kinds = {kind.__name__: kind for kind in (Source, Link, Layer, Readout, Rest)}
    unknown = sorted(set(job.process_models) - set(kinds))
    if unknown:
        raise ValueError(f"process model for unknown process {unknown[0]!r}; processes are {', '.join(kinds)}")
    own = {kinds[name]: _imported(path) for name, path in job.process_models.items()}
    processes = (source, *links, *layers, readout, *(() if rest is None else (rest,)))
    check_shared_memory(processes, wide=("report_out", "scores_out"))
    config = Loihi2SimCfg(select_tag=_tag(job), exception_proc_model_map=own)
    return SettlingGraph(processes, tuple(rows), feeds_of(processes), config, source, links, layers, readout, rest)


def _processes(
    job: Job, rows: list[BoardRow]
) -> tuple[Source, tuple[Link, ...], tuple[Layer, ...], Readout, Rest | None]:
    """The processes in the order of the chain; each takes a row of the board, which is put into `rows`."""
    circuit, neuron = job.circuit, job.circuit.neuron

    def common(kind: type[AbstractProcess], name: str) -> dict[str, Any]:
        rows.append(take_row(len(rows), name, PORTS[kind.__name__]))
        period = job.steps + 1
        return {"name": name, "steps": job.steps, "period": period, "batch": job.batch, "board_row": rows[-1]}

    tables = traffic_tables(circuit)
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
    return source, links, layers, readout, None if job.tolerance is None else Rest(**common(Rest, "rest"))


def _connect(
    source: Source,
    links: tuple[Link, ...],
    layers: tuple[Layer, ...],
    readout: Readout,
    rest: Rest | None,
    *,
    feedback: bool,
) -> None:
    """Who sends to whom; nobody downwards without `feedback`."""
    source.s_out.connect(links[0].s_below)
    for index, (link, layer) in enumerate(zip(links, layers, strict=True)):
        link.a_up.connect(layer.a_in)
        if index and feedback:
            # the input is clamped: its link hears nothing from above while the network only infers
            link.a_down.connect(layers[index - 1].a_in)
            layer.s_out.connect(link.s_above)
        layer.s_out.connect(links[index + 1].s_below if index + 1 < len(links) else readout.s_in)
        if rest is not None:
            layer.moving_out.connect(rest.moving_in)
            rest.at_rest_out.connect(layer.at_rest_in)


def _tag(job: Job) -> str:
    """Which of the models of a process runs."""
    if not isinstance(job.circuit.neuron, FixedNeuron):
        return "floating_pt"
    return "fixed_pt" if job.delta_threshold is None else "fixed_pt_delta"


PORTS = {
    "Source": ("images_in", "s_out", "report_out"),
    "Link": ("s_below", "s_above", "a_up", "a_down"),
    "Layer": ("a_in", "s_out", "at_rest_in", "moving_out", "state_out", "report_out", "trace_out"),
    "Readout": ("s_in", "scores_out"),
    "Rest": ("moving_in", "at_rest_out", "steps_out"),
}


def _imported(path: str) -> type:
    module, _, name = path.partition(":")
    model: type = getattr(import_module(module), name)
    return model


def settle(host: Host, graph: SettlingGraph, job: Job, batches: list[NDArray[Any]]) -> list[Batch]:
    """Settle batches (*input shape, B) in one Lava run."""
    count = len(batches)
    ports = [graph.source.report_out, graph.readout.scores_out]
    ports += [port for layer in graph.layers for port in (layer.state_out, layer.report_out)]
    ports += [] if graph.rest is None else [graph.rest.steps_out]
    expected = dict.fromkeys(ports, count)
    if job.trace:
        expected |= dict.fromkeys([layer.trace_out for layer in graph.layers], count * job.steps)
    answers = host.run(count * (job.steps + 1), {graph.source.images_in: batches}, expected)
    return [
        Batch(
            source_events=answers[graph.source.report_out][index],
            states=tuple(answers[layer.state_out][index] for layer in graph.layers),
            reports=tuple(answers[layer.report_out][index] for layer in graph.layers),
            scores=answers[graph.readout.scores_out][index],
            steps=None if graph.rest is None else answers[graph.rest.steps_out][index],
            trace=(
                tuple(
                    np.stack(answers[layer.trace_out][index * job.steps : (index + 1) * job.steps])
                    for layer in graph.layers
                )
                if job.trace
                else None
            ),
        )
        for index in range(count)
    ]
