"""Settle images on stock Lava:  python settle.py IMAGES.npy --steps 40 [--output SETTLED.npz]

Needs lava-nc 0.10.0, numpy and scipy, and the files beside it; nothing of the package that wrote them. IMAGES.npy holds
(B, C, H, W) or (C, H, W), in [0, 1]. Prints for every image its class and all scores, which are integers; the logits
are scores * logit_scale of network.json. --output keeps the scores (B, classes) and the states of every layer after
every step, layer1 (B, steps, units) and so on, in codes from 0 to one.

Lava has no neuron that clips from above, none that shifts, and no reset. All three are put together of processes that
it has. Per layer, with A the accumulators, E their exponent:

    A = sum W s + b                               a GradedVec (vth 0), fed by Sparse and by a RingBuffer with b
    z = A >> E                                    a Sparse of ones with weight_exp = -E, which floors
    s = clip(z, 0, one) = relu(z) - relu(z - one) a GradedReluVec (vth 0) of twice as many units as the layer has

so that a link is [W, -W] on the way up and [W^T, -W^T] on the way down. Sparse drops odd weights where signs are mixed:
it gets 2 W and one less of weight_exp, which is exact, because what it adds up is even. A loop passes two Sparse, each
of which delays by one: two Lava steps are one step. A RingBuffer shuts the ReLUs in the first Lava step of every image,
where the image before it is forgotten.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, hstack, identity, vstack

SCHEMA, VERSION = "ep-hardware loihi", 1
LARGEST = 127
"""Of a weight that Sparse holds, once it is doubled; sums over a pooling window are split."""
MESSAGE_BITS = 24
SHUT = 2**22
"""More than any z: accumulators stay below 2**23, and every exponent is at least 1."""


def matrix_of(wire: dict[str, Any], weight: np.ndarray) -> csr_matrix:
    """(units above, units below) integers of a link; pooling windows are summed."""
    if wire["kind"] == "dense":
        return csr_matrix(weight.astype(np.int32))
    (_, height, width), (_, rows, columns), pool = wire["below"], wire["above"], wire["pool_size"]
    channel, before, row, column = (part.ravel() for part in np.indices(weight.shape))
    top, left = (part.ravel() for part in np.mgrid[: rows * pool, : columns * pool])
    posts, pres, values = [], [], []
    for y, x in zip(top, left, strict=True):
        below_y = y * wire["stride"] + row - wire["padding"]
        below_x = x * wire["stride"] + column - wire["padding"]
        inside = (below_y >= 0) & (below_y < height) & (below_x >= 0) & (below_x < width)
        posts.append(((channel * rows + y // pool) * columns + x // pool)[inside].astype(np.int32))
        pres.append(((before * height + below_y) * width + below_x)[inside].astype(np.int32))
        values.append(weight.ravel()[inside].astype(np.int32))
    found = (np.concatenate(values), (np.concatenate(posts), np.concatenate(pres)))
    return coo_matrix(found, shape=(np.prod(wire["above"]), np.prod(wire["below"]))).tocsr()


def parts_of(matrix: csr_matrix) -> list[csr_matrix]:
    """Matrices of weights that Sparse can hold, which add up to this one: one, but for sums over pooling windows."""
    parts: list[csr_matrix] = []
    while not parts or matrix.nnz:
        part = matrix.copy()
        part.data = np.clip(part.data, -LARGEST, LARGEST)
        parts.append(part)
        matrix = (matrix - part).tocsr()
        matrix.eliminate_zeros()
    return parts


def import_lava() -> dict[str, Any]:
    """The stock processes that the graph is made of.

    lava-nc 0.10.0 was made for Python 3.10. Since 3.11 a dataclass refuses a default whose class has no hash, which one
    module of Lava has: it is imported with dataclasses that keep a hash.
    """
    import dataclasses

    plain = dataclasses.dataclass

    def hashable(cls: Any = None, /, **options: Any) -> Any:
        options.setdefault("unsafe_hash", True)
        return plain(**options) if cls is None else plain(**options)(cls)

    dataclasses.dataclass = hashable
    try:
        import lava.magma.compiler.var_model  # noqa: F401
    finally:
        dataclasses.dataclass = plain
    from lava.proc.graded.process import GradedReluVec, GradedVec
    from lava.proc.io.extractor import Extractor
    from lava.proc.io.source import RingBuffer
    from lava.proc.sparse.process import Sparse

    return {kind.__name__: kind for kind in (GradedReluVec, GradedVec, Extractor, RingBuffer, Sparse)}


class Graph:
    """The network as connected processes, for images that follow each other every 2 * steps + 2 Lava steps."""

    def __init__(self, network: dict[str, Any], numbers: dict[str, Any], codes: np.ndarray, steps: int) -> None:
        self.lava, self.one = import_lava(), network["one"]
        self.period = 2 * steps + 2
        names = [name for name in network["links"] if name != "readout"]
        self.sums: list[Any] = []
        self.states: list[Any] = []
        for layer in network["layers"]:
            self._layer(layer["units"], layer["exponent"])
        below = self._sent(np.repeat(codes.T, self.period, axis=1))
        for number, name in enumerate(names):
            wire, weight = network["links"][name], matrix_of(network["links"][name], numbers[f"{name}.weight"])
            bias = np.repeat(numbers[f"{name}.bias"], weight.shape[0] // len(numbers[f"{name}.bias"]))
            self._sent(bias[:, None]).connect(self.sums[number].a_in)
            if number == 0:
                self._link(weight, wire["up_shift"], below, self.sums[0].a_in)
                continue
            lower, upper = self.states[number - 1].s_out, self.states[number].s_out
            self._link(hstack([weight, -weight]), wire["up_shift"], lower, self.sums[number].a_in)
            down = weight.T.tocsr()
            self._link(hstack([down, -down]), wire["down_shift"], upper, self.sums[number - 1].a_in)
        self.seen = [
            self._seen(state, layer["units"]) for state, layer in zip(self.states, network["layers"], strict=True)
        ]
        self.scores = None
        if "readout" in network["links"]:
            weight, bias = csr_matrix(numbers["readout.weight"].astype(np.int32)), numbers["readout.bias"]
            self.scores = self._extractor(len(bias))
            self._link(hstack([weight, -weight]), 0, self.states[-1].s_out, self.scores.in_port)
            self._sent(bias[:, None]).connect(self.scores.in_port)

    def _layer(self, units: int, exponent: int) -> None:
        """Accumulators, shift and clip of a layer, shut in the first Lava step of every image."""
        sums = self.lava["GradedVec"](shape=(units,), vth=0)
        clip = self.lava["GradedReluVec"](shape=(2 * units,), vth=0)
        self._sparse(vstack([identity(units, np.int32)] * 2), -exponent, sums.s_out, clip.a_in)
        offset = np.repeat([0, -self.one], units)[:, None] * np.ones(self.period, int)
        offset[:, 0] -= SHUT
        self._sent(offset).connect(clip.a_in)
        self.sums.append(sums)
        self.states.append(clip)

    def _link(self, weight: csr_matrix, shift: int, source: Any, target: Any) -> None:
        for part in parts_of(weight.tocsr()):
            self._sparse(2 * part, shift - 1, source, target)

    def _sparse(self, weight: csr_matrix, exponent: int, source: Any, target: Any) -> None:
        sparse = self.lava["Sparse"](
            weights=csr_matrix(weight, dtype=np.int32),
            num_weight_bits=8,
            num_message_bits=MESSAGE_BITS,
            weight_exp=exponent,
        )
        source.connect(sparse.s_in)
        sparse.a_out.connect(target)

    def _sent(self, values: np.ndarray) -> Any:
        """The port of a source that sends the columns of (units, Lava steps), again and again."""
        return self.lava["RingBuffer"](data=values.astype(np.int32)).s_out

    def _seen(self, state: Any, units: int) -> Any:
        one = identity(units, np.int32)
        extractor = self._extractor(units)
        self._link(hstack([one, -one]), 0, state.s_out, extractor.in_port)
        return extractor

    def _extractor(self, units: int) -> Any:
        return self.lava["Extractor"](shape=(units,), buffer_size=self.period)

    def run(self, images: int) -> tuple[list[list[np.ndarray]], list[np.ndarray]]:
        """Per image what came out in every Lava step: of the layers (L, Lava steps, units), and the scores."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2SimCfg
        from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel

        models = {Extractor: PyLoihiExtractorModel}  # which carries no tag
        states, scores = [], []
        try:
            for _ in range(images):
                self.sums[0].run(
                    condition=RunSteps(num_steps=self.period),
                    run_cfg=Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models),
                    compile_config={"pypy_channel_size": 2},
                )
                states.append([self._received(one) for one in self.seen])
                scores.append(states[-1][-1] if self.scores is None else self._received(self.scores))
        finally:
            self.sums[0].stop()
        return states, scores

    def _received(self, extractor: Any) -> np.ndarray:
        return np.stack([extractor.receive() for _ in range(self.period)]).astype(np.int64)


def read_network(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """network.json and the integers of network.npz; ValueError for another schema or version."""
    network = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    if network.get("schema") != SCHEMA or network.get("version") != VERSION:
        raise ValueError(
            f"{folder / 'network.json'} is {network.get('schema')!r} of version {network.get('version')!r}, "
            f"{SCHEMA!r} of version {VERSION} is read"
        )
    with np.load(folder / "network.npz") as file:
        return network, {name: file[name] for name in file.files}


def settle(folder: Path, images: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Scores (B, classes) and states layerN (B, steps, units) of images, as integers."""
    network, numbers = read_network(folder)
    shape = tuple(network["links"]["link1"]["below"])
    images = images[None] if images.ndim == len(shape) else images
    if images.shape[1:] != shape or not len(images):
        raise ValueError(f"images are {images.shape}, expected (B, {', '.join(map(str, shape))})")
    if not ((images >= 0) & (images <= 1)).all():
        raise ValueError("images must lie in [0, 1]")
    codes = np.rint(images * network["one"]).astype(np.int32).reshape(len(images), -1)
    states, scores = Graph(network, numbers, codes, steps).run(len(images))
    # what an image is after step t leaves its layer in Lava step 2 t, and is seen one later
    layers = [np.stack([image[layer][3::2] for image in states]) for layer in range(len(network["layers"]))]
    settled = {f"layer{number}": layer for number, layer in enumerate(layers, start=1)}
    return {"scores": np.stack([image[-1] for image in scores]), **settled}


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description="Settle images on stock Lava.")
    parser.add_argument("images", type=Path, metavar="IMAGES.npy")
    parser.add_argument("--steps", type=int, default=40, help="steps, of two Lava steps each")
    parser.add_argument("--output", type=Path, metavar="SETTLED.npz", help="keep scores and states here")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps is {options.steps}, must be at least 1")
    try:
        settled = settle(Path(__file__).parent, np.load(options.images), options.steps)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for scores in settled["scores"]:
        print(f"{scores.argmax()}:", *scores)
    if options.output is not None:
        np.savez_compressed(options.output, **settled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
