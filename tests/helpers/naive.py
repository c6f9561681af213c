"""Second opinions for the tests: connectivity by loops, settling by matrices, counting by hand.

Everything here is written from the documented equations, in int64 or float64, and uses nothing of `hw`, `mapping` or of
the arithmetic of `models`: every link becomes one explicit matrix, whose transpose is the way down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def conv_matrix(weight: Array, below: tuple[int, ...], stride: int, padding: int) -> Array:
    """(C', H', W', C, H, W): the weight between every sum and every unit below."""
    kernel = weight.shape[2:]
    rows, columns = ((size + 2 * padding - k) // stride + 1 for size, k in zip(below[1:], kernel, strict=True))
    matrix = np.zeros((len(weight), rows, columns, *below), weight.dtype)
    for i, j, u, v in product(range(rows), range(columns), range(kernel[0]), range(kernel[1])):
        y, x = i * stride + u - padding, j * stride + v - padding
        if 0 <= y < below[1] and 0 <= x < below[2]:
            matrix[:, i, j, :, y, x] += weight[:, :, u, v]
    return matrix


def window_matrix(summed: tuple[int, ...], size: int) -> Array:
    """(C, h, w, C, H, W): one where a sum lies in a pooling window."""
    channels, rows, columns = summed
    matrix = np.zeros((channels, rows // size, columns // size, *summed), np.int64)
    for c, i, j in product(range(channels), range(rows // size), range(columns // size)):
        matrix[c, i, j, c, i * size : (i + 1) * size, j * size : (j + 1) * size] = 1
    return matrix


class NaiveLink:
    """A link as the matrices (summed, below) and (above, summed); `pooling` is none, sum or max."""

    def __init__(self, link: Any, weight: Array | None = None) -> None:
        numbers = np.asarray(link.weight if weight is None else weight)
        numbers = numbers.astype(np.int64 if numbers.dtype.kind in "iu" else np.float64)
        self.below = tuple(link.below)
        if numbers.ndim == 2:
            self.pooling, self.size = "none", 1
            self.above: tuple[int, ...] = numbers.shape[:1]
            self.sums, self.windows = numbers, np.eye(len(numbers), dtype=np.int64)
            return
        self.pooling, self.size = link.pooling, link.pool_size
        sums = conv_matrix(numbers, self.below, link.stride, link.padding)
        windows = window_matrix(sums.shape[:3], self.size)
        self.above = windows.shape[:3]
        self.sums = sums.reshape(-1, int(np.prod(self.below)))
        self.windows = windows.reshape(-1, len(self.sums))

    @property
    def matrix(self) -> Array:
        """(above, below) weights added up over the pooling windows."""
        return self.sums if self.size == 1 else self.windows @ self.sums

    def up(self, below: Array) -> Array:
        """(B, below) to (B, above): sums over windows, or their maxima."""
        if self.pooling != "max":
            return below @ self.matrix.T
        sums = below @ self.sums.T
        return np.stack([sums[:, window > 0].max(axis=1) for window in self.windows], axis=1)

    def down(self, above: Array, below: Array) -> Array:
        """(B, above) to (B, below): the transpose, at the winners of these states below."""
        if self.pooling != "max":
            return above @ self.matrix
        sums = below @ self.sums.T
        spread = np.zeros_like(sums)
        for unit, window in enumerate(self.windows):
            members = np.flatnonzero(window)
            winner = members[sums[:, members].argmax(axis=1)]
            spread[np.arange(len(sums)), winner] = above[:, unit]
        return spread @ self.sums


def counts(link: Any) -> Array:
    """(above, below) how many weights join two units, under pooling those of all sums in the window."""
    return NaiveLink(link, np.ones(tuple(link.weight.shape), np.int64)).matrix


@dataclass
class Run:
    """What happened: T steps, B images; messages of layers 0..L, each (T, B, units), are those a step consumes."""

    trace: list[Array]
    scores: Array
    steps: Array
    residual: Array
    nonzero: list[Array]
    changed: list[Array]

    def running(self) -> Array:
        """(T, B) whether an image still ran in a step."""
        return np.arange(len(self.scores))[:, None] < self.steps


def settle(
    program: Any,
    images: Array,
    steps: int,
    *,
    threshold: int | None = None,
    tolerance: float | None = None,
) -> Run:
    """Synchronous settling of a `Program` in int64, of a network in float64, from the documented equations.

    With a threshold, neighbours see what was sent: a state is sent when it is at least that far from what was sent.
    """
    integers = hasattr(program, "state_bits")
    one = 2**program.state_bits - 1 if integers else 1
    links = [_with_window_mean(link, integers) for link in program.links]
    layers = len(links)
    e = [int(link.exponent) for link in program.links] if integers else [0] * layers
    number = np.int64 if integers else np.float64
    images = images.reshape(len(images), -1)
    x = np.rint(images * one).astype(np.int64) if integers else images.astype(np.float64)
    biases = [
        np.repeat(np.asarray(raw.bias).astype(number), int(np.prod(link.above[1:])))
        for raw, link in zip(program.links, links, strict=True)
    ]
    states = [x, *(np.zeros((len(x), int(np.prod(link.above))), number) for link in links)]
    seen = list(states)
    before_seen = [np.zeros_like(state) for state in states]
    resting, taken, residual = np.zeros(len(x), bool), np.full(len(x), steps), np.full(len(x), np.inf)
    trace: list[list[Array]] = [[] for _ in links]
    nonzero: list[list[Array]] = [[] for _ in states]
    changed: list[list[Array]] = [[] for _ in states]
    read = []
    for step in range(1, steps + 1):
        for layer, state in enumerate(states):
            nonzero[layer].append(state != 0)
            changed[layer].append(seen[layer] != before_seen[layer])
        moving = _next_states(links, biases, seen, e, one if integers else None)
        fresh = [x, *(np.where(resting[:, None], old, new) for old, new in zip(states[1:], moving, strict=True))]
        moved = np.max([np.abs(new - old).max(axis=1) for new, old in zip(fresh[1:], states[1:], strict=True)], axis=0)
        residual = np.where(resting, residual, moved / one)
        if tolerance is not None:
            arrived = ~resting & (residual <= tolerance)
            taken[arrived] = step
            resting |= arrived
        states, before_seen = fresh, seen
        seen = [
            state if threshold is None else np.where(np.abs(state - last) >= threshold, state, last)
            for state, last in zip(states, seen, strict=True)
        ]
        read.append(scores(program, seen[-1]))
        for index in range(layers):
            trace[index].append(states[index + 1])
    return Run(
        [np.stack(layer) for layer in trace],
        np.stack(read),
        taken,
        residual,
        [np.stack(layer) for layer in nonzero],
        [np.stack(layer) for layer in changed],
    )


def _next_states(
    links: list[NaiveLink], biases: list[Array], seen: list[Array], e: list[int], one: int | None
) -> list[Array]:
    """Every layer from what it sees of its neighbours; `one` is the code of state 1.0 of integers, None for floats."""
    states = []
    for index, link in enumerate(links):
        point = max(e[index : index + 2])
        total = link.up(seen[index]) * 2 ** (point - e[index]) + biases[index]
        if index + 1 < len(links):
            sent_down = links[index + 1].down(seen[index + 2], seen[index + 1])
            total = total + sent_down * 2 ** (point - e[index + 1])
        states.append(np.clip(total, 0, 1) if one is None else np.clip(total >> point, 0, one))
    return states


def _with_window_mean(link: Any, integers: bool) -> NaiveLink:
    """Networks average over a window, programs add up: one over the window is in their weights already."""
    weight = np.asarray(link.weight)
    if not integers and getattr(link, "pooling", "none") == "average":
        weight = weight.astype(np.float64) / link.pool_size**2
    return NaiveLink(link, weight)


def scores(program: Any, last: Array) -> Array:
    """(B, units) states of the last layer to (B, K) class scores."""
    readout = program.readout
    if hasattr(program, "state_bits"):
        one = 2**program.state_bits - 1
        if readout is None:
            return last / one
        return (last @ readout.weight.astype(np.int64).T + readout.bias) / (one * 2.0**readout.exponent)
    if readout is None:
        return last
    return last @ np.asarray(readout.weight, np.float64).T + np.asarray(readout.bias, np.float64)


def split_evenly(units: int, first: int) -> tuple[list[int], int]:
    """Core of every unit of a layer whose first core is `first`, 1024 units at most on each; and the next free core."""
    used = -(-units // 1024)
    return [first + unit * used // units for unit in range(units)], first + used


def traffic(links: Sequence[Any], cores: Sequence[Sequence[int]]) -> list[Array]:
    """Per layer, (units, 6): synops up, synops down, messages, hops east-west, hops north-south, spikes."""
    joins = [counts(link) for link in links]
    tables = []
    for layer, places in enumerate(cores):
        table = np.zeros((len(places), 6))
        for unit, place in enumerate(places):
            targets: list[set[int]] = []
            if layer < len(links):
                fan = joins[layer][:, unit]
                table[unit, 0] = fan.sum()
                targets.append({cores[layer + 1][other] for other in np.flatnonzero(fan)})
            if layer >= 2:
                fan = joins[layer - 1][unit]
                table[unit, 1] = fan.sum()
                targets.append({cores[layer - 1][other] for other in np.flatnonzero(fan)})
            for core in (core for group in targets for core in group):
                (row, column), (other_row, other_column) = divmod(place // 4, 8), divmod(core // 4, 8)
                table[unit, 2] += 1
                table[unit, 3] += abs(column - other_column)
                table[unit, 4] += abs(row - other_row)
            table[unit, 5] = 1
        tables.append(table)
    return tables


def events(run: Run, tables: Sequence[Array]) -> dict[str, Array]:
    """What a ledger must hold, (T, S, 6) each: dense, zero_skip, delta."""
    alive = run.running()
    counted = {name: np.zeros((len(alive), len(tables), 6)) for name in ("dense", "zero_skip", "delta")}
    for step, layer, image in product(range(len(alive)), range(len(tables)), range(alive.shape[1])):
        if not alive[step, image]:
            continue
        counted["dense"][step, layer] += tables[layer].sum(axis=0)
        counted["zero_skip"][step, layer] += tables[layer][run.nonzero[layer][step, image]].sum(axis=0)
        counted["delta"][step, layer] += tables[layer][run.changed[layer][step, image]].sum(axis=0)
    return counted


def tables(source: Any) -> list[Array]:
    """`traffic` of a network or program whose layers are placed one after the other."""
    first, cores = 0, []
    for shape in (source.links[0].below, *(link.above for link in source.links)):
        places, first = split_evenly(int(np.prod(shape)), first)
        cores.append(places)
    return traffic(source.links, cores)


def flat(layer: Array) -> Array:
    """(T, B, *shape) to (T, B, units)."""
    return layer.reshape(*layer.shape[:2], -1)


def recounted(source: Any, images: Array, trace: Sequence[Array], steps: Array) -> dict[str, Array]:
    """What a ledger must hold of the states that a machine passed through: `trace` (T, B, *shape) of layers 1..L.

    Where floats differ in the last bit, "changed" does too. The naive run lends its bookkeeping only.
    """
    run = settle(source, images, len(trace[0]))
    run.steps = steps
    zeros = [np.zeros((1, *layer.shape[1:])) for layer in map(flat, trace)]
    before = [np.concatenate([zero, flat(layer)[:-1]]) for zero, layer in zip(zeros, trace, strict=True)]
    earlier = [np.concatenate([zero, layer[:-1]]) for zero, layer in zip(zeros, before, strict=True)]
    run.nonzero[1:] = [layer != 0 for layer in before]
    run.changed[1:] = [new != old for new, old in zip(before, earlier, strict=True)]
    return events(run, tables(source))
