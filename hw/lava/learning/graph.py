"""A circuit as a graph of Lava processes that learns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg

from hw.circuit import FixedNeuron
from hw.lava.board import BoardRow, take_row
from hw.lava.graph import Graph, check_shared_memory, feeds_of, traffic_tables
from hw.lava.learning.messages import LearningJob
from hw.lava.learning.processes.layer import PlasticLayer
from hw.lava.learning.processes.link import PlasticLink
from hw.lava.learning.processes.nudging_readout import NudgingReadout
from hw.lava.learning.timetable import timetable
from hw.lava.processes.source import Source
from hw.learning.memory import fixed_memory


@dataclass(frozen=True)
class LearningGraph(Graph):
    """Processes in the order of the chain."""

    period: int
    """Lava time steps per batch."""
    source: Source
    links: tuple[PlasticLink, ...]
    layers: tuple[PlasticLayer, ...]
    nudging: NudgingReadout


def build_learning_graph(job: LearningJob) -> LearningGraph:
    """Processes and connections of a circuit; fails before anything is started if the machine cannot hold it."""
    rows: list[BoardRow] = []
    source, links, layers, nudging = _processes(job, rows)
    _connect(source, links, layers, nudging)
    processes: tuple[AbstractProcess, ...] = (source, *links, *layers, nudging)
    check_shared_memory(processes, wide=("report_out",))
    fixed = isinstance(job.circuit.neuron, FixedNeuron)
    config = Loihi2SimCfg(select_tag="fixed_pt" if fixed else "floating_pt")
    period = len(timetable(job.phases))
    return LearningGraph(processes, tuple(rows), feeds_of(processes), config, period, source, links, layers, nudging)


def _processes(
    job: LearningJob, rows: list[BoardRow]
) -> tuple[Source, tuple[PlasticLink, ...], tuple[PlasticLayer, ...], NudgingReadout]:
    """The processes in the order of the chain; each takes a row of the board, which is put into `rows`."""
    circuit, phases, neuron = job.circuit, job.phases, job.circuit.neuron
    table = timetable(phases)

    def common(name: str, ports: tuple[str, ...]) -> dict[str, Any]:
        rows.append(take_row(len(rows), name, ports))
        return {
            "name": name,
            "steps": phases.steps,
            "period": len(table),
            "batch": job.batch,
            "board_row": rows[-1],
            "table": table,
            "shares": phases.weights,
            "one": neuron.one,
        }

    fixed = isinstance(neuron, FixedNeuron)
    wires = len(circuit.wires) + (circuit.readout is not None)
    memories = [fixed_memory(circuit, index, job.seed) if fixed else (None, None) for index in range(wires)]
    exponents = neuron.exponents if isinstance(neuron, FixedNeuron) else (0,) * len(circuit.wires)
    tables = traffic_tables(circuit)
    top = len(circuit.wires) - 1
    source = Source(
        shape=circuit.input_shape, traffic=tables[0], **common("source", ("images_in", "s_out", "report_out"))
    )
    links = tuple(
        PlasticLink(wire=wire, memory=memories[index][0], **common(f"link{index + 1}", LINK_PORTS))
        for index, wire in enumerate(circuit.wires)
    )
    layers = tuple(
        PlasticLayer(
            shape=wire.above,
            bias=circuit.biases[index],
            memory=memories[index][1],
            exponent=exponents[index],
            output=index == top and circuit.readout is None,
            traffic=tables[index + 1],
            **common(f"layer{index + 1}", LAYER_PORTS),
        )
        for index, wire in enumerate(circuit.wires)
    )
    nudging = NudgingReadout(
        shape=circuit.layers[-1],
        classes=circuit.classes,
        readout=circuit.readout,
        bias_=circuit.readout_bias,
        weight_memory=memories[-1][0],
        bias_memory=memories[-1][1],
        exponent=exponents[-1],
        logit_scale=circuit.logit_scale,
        **common("nudging", NUDGING_PORTS),
    )
    return source, links, layers, nudging


def _connect(
    source: Source, links: tuple[PlasticLink, ...], layers: tuple[PlasticLayer, ...], nudging: NudgingReadout
) -> None:
    """Who sends to whom."""
    source.s_out.connect(links[0].s_below)
    for index, (link, layer) in enumerate(zip(links, layers, strict=True)):
        link.a_up.connect(layer.a_in)
        if index:
            # the input is clamped: its link passes nothing down
            link.a_down.connect(layers[index - 1].a_in)
        layer.s_out.connect(link.s_above)
        layer.s_out.connect(links[index + 1].s_below if index + 1 < len(links) else nudging.s_in)
    nudging.pull_out.connect(layers[-1].a_in)


LINK_PORTS = ("assignment_in", "s_below", "s_above", "a_up", "a_down", "weight_out")
LAYER_PORTS = ("assignment_in", "a_in", "s_out", "bias_out", "report_out")
NUDGING_PORTS = ("assignment_in", "targets_in", "s_in", "pull_out", "hits_out", "weight_out", "bias_out")
