"""How much memory gradients and evaluations really take: peak resident size of a process that does nothing else.

    python peak_rss.py '[["engine", "small", 64], ...]'

prints a JSON list of bytes. Every case runs in a fork of a process that has loaded torch, so that nothing another case
has freed is taken again.
"""

from __future__ import annotations

import json
import os
import resource
import sys

import torch

from models.data import ImageSet
from models.ep.evaluation import evaluate
from models.ep.gradient import Phases, ep_gradient
from models.ep.network import Conv, Dense, EPNetwork, build_network
from models.fast.evaluation import evaluate_fast
from models.fast.gradient import engine_gradient

NETWORKS: dict[str, tuple[tuple[int, ...], tuple[Conv | Dense, ...]]] = {
    "maxima": ((3, 32, 32), (Conv(32, pooling="max", pool_size=2), Conv(64, pooling="max", pool_size=2), Conv(64))),
    "averages": ((3, 32, 32), (Conv(32, pooling="average", pool_size=2), Conv(64, pooling="average", pool_size=2))),
    "strides": ((3, 32, 32), (Conv(64, stride=2), Conv(128, stride=2), Conv(256, stride=2))),
    "dense": ((1, 28, 28), (Dense(512), Dense(512))),
    "wide": ((3, 32, 32), (Conv(64),)),
    "heavy": ((3, 16, 16), (Conv(64, stride=2), Conv(512, stride=2), Conv(512))),
}


def network_of(name: str) -> EPNetwork:
    shape, layers = NETWORKS[name]
    return build_network(shape, layers, 10, torch.Generator().manual_seed(0))


def grown(kind: str, name: str, batch: int) -> int:
    """Bytes by which the process grows beyond its largest size so far."""
    network, phases = network_of(name), Phases(3, 2, schedule="symmetric")
    generator = torch.Generator().manual_seed(1)
    before = _peak()
    images = torch.rand((batch, *network.input_shape), generator=generator)
    labels = torch.randint(10, (batch,), generator=generator)
    if kind == "engine":
        kept: object = engine_gradient(network, images, labels, phases)
    elif kind == "float":
        kept = ep_gradient(network, images, labels, phases, generator)
    elif kind == "watch":
        kept = evaluate_fast(network, ImageSet((images * 255).byte(), labels, 255), sweeps=3, batch_size=batch)
    else:
        kept = evaluate(network, ImageSet((images * 255).byte(), labels, 255), steps=3, batch_size=batch)
    peak = _peak()
    del kept
    return peak - before


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    torch.set_num_threads(1)
    found = []
    for case in json.loads(sys.argv[1]):
        out, into = os.pipe()
        if os.fork() == 0:
            os.write(into, str(grown(*case)).encode())
            os._exit(0)
        os.close(into)
        with os.fdopen(out) as answer:
            found.append(int(answer.read()))
        os.wait()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
