"""A baseline for speed: the same network from Lava's stock `Dense` processes, one image at a time.

Stock Lava has no transposed convolution and no batch, so every link becomes two `Dense` processes, W and W^T, with the
convolution and its pooling written out as a matrix; neurons, input and readout are ours, because stock Lava has no
neuron with states in [0, 1]. Run as a program it times itself and prints one JSON document:

    python -m bench.speed.stock_lava JOB.pickle IMAGES

It is started in an interpreter of its own, for the reasons given in `hw.lava`.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from numpy.typing import NDArray

from hw.circuit import Wire
from hw.kernels import build_kernel
from hw.lava.board import take_row
from hw.lava.host import Host
from hw.lava.messages import Job
from hw.lava.processes.layer import Layer
from hw.lava.processes.readout import Readout
from hw.lava.processes.source import Source
from hw.lava.settling import PORTS, SettlingGraph, settle

MESSAGE_BITS = 24
"""More than 0 makes a stock Dense send numbers instead of spikes; the float model ignores how many."""


def written_out(wire: Wire) -> NDArray[np.float64]:
    """A wire as a matrix (units above, units below), by sending every unit of the layer below alone."""
    units = int(np.prod(wire.below))
    kernel = build_kernel(wire, wire.weight, units)
    alone = np.eye(units, dtype=np.float32).reshape(*wire.below, units)
    return kernel.up(alone).reshape(-1, units).astype(np.float64)


def stock_graph(job: Job) -> SettlingGraph:
    """Source -> Dense -> layer 1 <- Dense, Dense -> layer 2 ... -> readout, for a batch of one."""
    circuit, names = job.circuit, iter(range(100))

    def common(kind: type, name: str) -> dict[str, Any]:
        seat = take_row(next(names), name, PORTS[kind.__name__])
        return {"name": name, "steps": job.steps, "period": job.steps + 1, "batch": 1, "board_row": seat}

    tables = [np.ascontiguousarray(table.T, np.float32) for table in circuit.traffic]
    source = Source(shape=circuit.input_shape, traffic=tables[0], **common(Source, "source"))
    layers = tuple(
        Layer(
            shape=wire.above,
            bias=circuit.biases[index],
            exponent=0,
            one=1,
            traffic=tables[index + 1],
            threshold=None,
            tolerance=None,
            trace=False,
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
    below = source.s_out
    for index, wire in enumerate(circuit.wires):
        matrix = written_out(wire)
        up = Dense(weights=matrix, num_message_bits=MESSAGE_BITS, name=f"up{index + 1}")
        below.reshape((matrix.shape[1],)).connect(up.s_in)
        up.a_out.reshape((*wire.above, 1)).connect(layers[index].a_in)
        if index:
            down = Dense(weights=matrix.T.copy(), num_message_bits=MESSAGE_BITS, name=f"down{index + 1}")
            layers[index].s_out.reshape((matrix.shape[0],)).connect(down.s_in)
            down.a_out.reshape((*wire.below, 1)).connect(layers[index - 1].a_in)
        below = layers[index].s_out
    layers[-1].s_out.connect(readout.s_in)
    config = Loihi2SimCfg(select_tag="floating_pt")
    return SettlingGraph((source,), (), {}, config, source, (), layers, readout, None)


def main() -> None:
    """Settle the images one by one, twice, and report the quicker pass and the logits."""
    job: Job = pickle.loads(Path(sys.argv[1]).read_bytes())
    images = np.load(sys.argv[2])
    ours, _theirs = Pipe()
    graph = stock_graph(job)
    host = Host(graph, ours, job.stall_s)
    batches = [np.ascontiguousarray(image[..., None], np.float32) for image in images]
    seconds, answers = float("inf"), []
    for _ in range(2):
        start = time.perf_counter()
        answers = settle(host, graph, job, batches)
        seconds = min(seconds, time.perf_counter() - start)
    logits = [answer.scores[-1, :, 0].tolist() for answer in answers]
    print(json.dumps({"seconds_per_image": seconds / len(images), "logits": logits}), flush=True)
    host.kill()
    # as in the host: Lava's threads would wait for processes that are gone
    os._exit(0)


if __name__ == "__main__":
    main()
