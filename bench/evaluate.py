"""One row: a machine settles the clean and the disturbed images, and its work is priced."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import ceil
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.machines.backend import Backend, Images, RowKey, Workload
from bench.records.answers import CLEAN, Answers
from bench.records.neurobench import neurobench
from bench.records.row import Row
from bench.records.statistics import estimate
from hw.dies import Together, one_after_the_other
from hw.events.messages import CODINGS
from hw.ledger import Ledger
from hw.machine import Machine, Settled, concatenate
from hw.meters import CounterError, Missing, Plan, measure, open_meter
from models.files.provenance import now, this_program

LATENCY_REPEATS = 5
AT_ONCE = 2048
"""Images whose states a machine hands over together; only their scores are kept, which are small."""


@dataclass(frozen=True)
class Shown:
    """What a machine is shown."""

    images: Images
    labels: NDArray[np.int64]
    disturbed: Mapping[str, Images]
    """The same images disturbed, by name."""


@dataclass(frozen=True)
class Origin:
    """Where the network and the images of a row come from."""

    model: str
    data: str
    seed: int


@dataclass(frozen=True)
class _Answers:
    """What one machine answered, or several together, without states: a list holds one entry for every draw."""

    machines: int
    """That settled together: their answers follow each other."""
    clean: list[Settled]
    disturbed: dict[str, list[NDArray[np.floating]]]
    """Scores, by name."""
    described: list[Mapping[str, Any] | None]
    """What each machine says about itself."""
    wall_s: float
    latency_s: float | None
    energy_j: float | None


class Teller:
    """Tells where a machine is: what it settles, and which batch of it."""

    def __init__(self, name: str, advance: Callable[[str], None], note: Callable[[str], None]) -> None:
        self.name, self.what = name, "warm-up"
        self._advance, self._note = advance, note

    def advance(self, what: str) -> None:
        """Something else is settled from now on."""
        self.what = what
        self._advance(f"{self.name}: {what}")

    def listen(self, machine: Any) -> None:
        """Have a machine that can say so tell each batch."""
        if hasattr(machine, "progress"):
            machine.progress = lambda done, of: self._note(f"{self.name}: {self.what}, batch {done} of {of}")


def evaluate(
    backend: Backend,
    key: RowKey,
    work: Workload,
    shown: Shown,
    origin: Origin,
    advance: Callable[[str], None],
    note: Callable[[str], None] = lambda _: None,
) -> tuple[Row, Answers]:
    """The row of one machine, or of all dies of one point, and what they answered; `advance` is told what is about to
    be settled, and `note` how far a machine is that says so after each batch."""
    makers, name = backend.open(work, key), f"{key.backend} {key.precision}"

    def answer(number: int, make: Callable[[], Machine]) -> _Answers:
        named = name + (f", die {number}" if key.point is not None else "")
        return _answer(backend, key, make, work, shown, Teller(named, advance, note))

    if (dies := all_at_once(backend, makers, work)) is not None:
        teller = Teller(f"{name}, {len(makers)} dies", advance, note)
        answers = [_answer(backend, key, lambda: dies, work, shown, teller)]
    else:
        answers = _side_by_side(answer, makers)
    images = len(shown.labels)
    settled = concatenate([settled for one in answers for settled in one.clean])
    kept = _kept(answers, shown.labels)
    shares = {name: estimate(kept.right(name)) for name in kept.scores}
    of_clean = shares.pop(CLEAN)
    described = [said for one in answers for said in one.described if said is not None]
    details = backend.details(settled.ledger, described, kept.right().mean(axis=1).tolist())
    row = Row(
        key.backend,
        key.precision,
        **asdict(origin),
        point=None if key.point is None else asdict(key.point),
        images=images,
        accuracy=of_clean.share,
        accuracy_ci95=of_clean.interval,
        robust={name: one.share for name, one in shares.items()},
        robust_ci95={name: one.interval for name, one in shares.items()},
        steps=None if settled.steps is None else float(settled.steps.mean()),
        rest_s=None if settled.rest_s is None else float(settled.rest_s.mean()),
        residual=_residual(settled),
        coding=backend.coding(key.precision),
        synops=_synops(settled.ledger),
        neurobench=neurobench(settled.ledger, work.source(key.precision), spikes=backend.spikes(key.precision)),
        by_step=_by_step(settled, answers, shown.labels),
        details={} if details is None or backend.block is None else {backend.block: details},
        device=backend.computed_on(work.conditions.torch_device),
        made_by=this_program(),
        date=now(),
    )
    return _priced(row, backend, key, work, settled, answers), kept


def _kept(answers: Sequence[_Answers], labels: NDArray[np.int64]) -> Answers:
    """Scores of all machines, which are dies, in all draws."""
    clean = np.concatenate([_by_machine([settled.logits for settled in one.clean], one.machines) for one in answers])
    scores = {
        name: np.concatenate([_by_machine(one.disturbed[name], one.machines) for one in answers])
        for name in answers[0].disturbed
    }
    return Answers(labels, {name: np.asarray(made, np.float32) for name, made in {CLEAN: clean, **scores}.items()})


def _by_machine(draws: Sequence[NDArray[np.floating]], machines: int) -> NDArray[np.floating]:
    """(machines, draws, N, classes) of what each draw gave, the images of one machine after those of the other."""
    return np.stack([one.reshape(machines, -1, one.shape[-1]) for one in draws], axis=1)


def _answer(
    backend: Backend,
    key: RowKey,
    make: Callable[[], Machine | Together],
    work: Workload,
    shown: Shown,
    teller: Teller,
) -> _Answers:
    settling = work.conditions.settling
    with make() as machine:
        each = getattr(machine, "dies", (machine,))
        teller.listen(machine)
        batch = shown.images[: _first_batch(len(shown.images), settling.batch_size)]
        if key.point is None:
            machine.settle(batch)  # warm up
        teller.advance("clean images")
        start = time.perf_counter()
        clean = [settle(machine, shown.images, len(each)) for _ in range(backend.draws())]
        wall_s = time.perf_counter() - start
        disturbed = {}
        for name, images in shown.disturbed.items():
            teller.advance(name)
            disturbed[name] = [settle(machine, images, len(each)).logits for _ in range(backend.draws())]
        device = work.conditions.torch_device
        latency_s, energy_j = _measured(machine, batch, device) if backend.clocked else (None, None)
        described = [backend.describe(one) for one in each]
        return _Answers(len(each), clean, disturbed, described, wall_s, latency_s, energy_j)


def _priced(row: Row, backend: Backend, key: RowKey, work: Workload, settled: Settled, answers: list[_Answers]) -> Row:
    """The row with what its work took, measured and modelled."""
    wall_s = sum(one.wall_s for one in answers) / len(settled.logits)
    prices = backend.prices(settled.ledger, key, work, wall_s)
    main = next(iter(prices.costs.values()), None)
    return replace(
        row,
        energy_j={**_range(main and main.energy_j), "profile": main.profile if main else None},
        energy_measured_j=answers[0].energy_j,
        latency_s={
            "measured": answers[0].latency_s,
            **_range(main and main.latency_s),
            "profile": main.profile if main and main.latency_s else None,
        },
        wall_s_per_image=wall_s,
        costs={profile: asdict(cost) for profile, cost in prices.costs.items()},
        unpriced=dict(prices.unpriced),
    )


def _side_by_side(
    answer: Callable[[int, Callable[[], Machine]], _Answers], makers: Sequence[Callable[[], Machine]]
) -> list[_Answers]:
    """Every machine's answers; several machines share the cores, one thread each, and answer as they would alone."""
    if len(makers) == 1:
        return [answer(1, makers[0])]
    with one_thread_each() as threads, ThreadPoolExecutor(threads) as pool:
        return list(pool.map(answer, range(1, len(makers) + 1), makers))


def all_at_once(backend: Backend, makers: Sequence[Callable[[], Machine]], work: Workload) -> Together | None:
    """The machines of a row as one, made side by side, on a torch device where that is faster than one after the other:
    any but the CPU, whose cores each have a machine of their own to settle. None where there is one machine, or the
    machines cannot."""
    if work.conditions.torch_device == "cpu" or len(makers) == 1:
        return None
    with one_thread_each() as threads, ThreadPoolExecutor(threads) as pool:
        return backend.together(list(pool.map(lambda make: make(), makers)))


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Within, torch computes with one thread; gives the number of threads it had, to be used side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def unpublished(key: RowKey, origin: Origin) -> Row:
    """The row of a point at which the source of the device says nothing."""
    row = Row(key.backend, key.precision, **asdict(origin), point=asdict(key.point))
    return replace(row, made_by=this_program(), date=now())


def settle(machine: Machine | Together, images: Images, dies: int = 1) -> Settled:
    """What a machine answers to any number of images, or so many dies together, one after the other; without the final
    states, which would fill the memory."""
    parts = np.array_split(images, ceil(len(images) * dies / AT_ONCE))
    return one_after_the_other([replace(machine.settle(part), states=()) for part in parts], dies)


def _first_batch(images: int, batch_size: int) -> int:
    """Images in the first batch that `settle` has a machine settle; the batches of Lava, which are equal, too."""
    part = ceil(images / ceil(images / AT_ONCE))
    return ceil(part / ceil(part / batch_size))


def _measured(machine: Machine | Together, images: Images, device: str) -> tuple[float, float | None]:
    """Seconds to settle a single image, and joules per image of a batch by a counter of the computer, if it has one."""

    def settle_all() -> None:
        machine.settle(images)
        if device != "cpu":
            torch.cuda.synchronize(device)

    times = []
    for _ in range(LATENCY_REPEATS):
        start = time.perf_counter()
        machine.settle(images[:1])
        times.append(time.perf_counter() - start)
    return median(times), _joules(settle_all, device, len(images))


def _joules(work: Callable[[], None], device: str, images: int) -> float | None:
    """Gross joules per image; None where the device has no counter, which is not said, or one that fails, which is."""
    meter = open_meter(device)
    if isinstance(meter, Missing):
        return None
    try:
        gross = measure(work, meter, Plan(repeats=2)).gross_j
    except CounterError as error:
        print(f"note: no joules were measured: {error}", file=sys.stderr)
        return None
    return None if gross is None else gross / images


def _residual(settled: Settled) -> dict[str, float]:
    values = settled.residual
    return {"median": float(np.median(values)), "p95": float(np.quantile(values, 0.95)), "max": float(values.max())}


def _synops(ledger: Ledger) -> dict[str, float] | None:
    """Synaptic operations per image of all links in both directions, under each coding, without the readout; None on a
    machine that sends no messages."""
    sent = ledger.messages
    return None if sent is None else {name: sent.synops(name) / ledger.images for name in CODINGS}


def _range(values: object) -> dict[str, float | None]:
    return {name: getattr(values, name, None) for name in ("low", "nominal", "high")}


def _by_step(settled: Settled, answers: Sequence[_Answers], labels: NDArray[np.int64]) -> dict[str, list[Any]]:
    """What the figures draw: accuracy after each step, or at each of the times, with its interval, and where messages
    are sent what spikes and synaptic operations each step consumed, per image."""
    made = []
    for step in range(len(settled.logits_by_step)):
        scores = [_by_machine([one.logits_by_step[step] for one in told.clean], told.machines) for told in answers]
        right = np.concatenate(scores).argmax(axis=-1) == labels
        made.append(estimate(right.mean(axis=1)))
    curves: dict[str, list[Any]] = {
        "accuracy": [one.share for one in made],
        "accuracy_ci95": [[*one.interval] for one in made],
    }
    if settled.times_s is not None:
        curves["times_s"] = settled.times_s.tolist()
    sent, images = settled.ledger.messages, settled.ledger.images
    if sent is not None:
        curves["spikes"] = (sent.column(sent.coding, "spikes").sum(axis=1) / images).tolist()
        curves |= {f"synops_{name}": (sent.synops_by_step(name) / images).tolist() for name in CODINGS}
    return curves
