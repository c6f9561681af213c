"""One pass of a learning graph over its images."""

from __future__ import annotations

import numpy as np

from hw.circuit import Weights
from hw.lava.host import Host
from hw.lava.learning.graph import LearningGraph
from hw.lava.learning.messages import LearningJob, Pass, PassReport


def learn(host: Host, graph: LearningGraph, job: LearningJob, batches: Pass) -> PassReport:
    """Learn from all batches in one Lava run, and read the weights."""
    nudging, layers, links = graph.nudging, graph.layers, graph.links
    readout = job.circuit.readout is not None
    count = len(batches.images)
    sent = {
        graph.source.images_in: batches.images,
        nudging.targets_in: batches.targets,
        nudging.assignment_in: batches.assignments[-1],
    }
    for index, (link, layer) in enumerate(zip(links, layers, strict=True)):
        sent |= {link.assignment_in: batches.assignments[index], layer.assignment_in: batches.assignments[index]}
    weights = [link.weight_out for link in links] + ([nudging.weight_out] if readout else [])
    biases = [layer.bias_out for layer in layers] + ([nudging.bias_out] if readout else [])
    expected = {graph.source.report_out: count, nudging.hits_out: count}
    expected |= {layer.report_out: count for layer in layers} | dict.fromkeys([*weights, *biases], 1)
    answers = host.run(count * graph.period, sent, expected)
    # padding is all zero, which causes no events
    events = [np.sum(answers[graph.source.report_out], axis=0).sum(axis=-1)]
    events += [np.sum(answers[layer.report_out], axis=0) for layer in layers]
    return PassReport(
        events=np.stack(events, axis=2),
        hits=int(np.sum(answers[nudging.hits_out])),
        weights=Weights(tuple(answers[port][0] for port in weights), tuple(answers[port][0] for port in biases)),
    )
