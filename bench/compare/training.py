"""What one epoch of training takes: equilibrium propagation where the weights are, and backpropagation on a GPU.

One update of a few images is run, centered nudges of 20 and 10 steps, its events are priced, and the mean image stands
for all training images. On a chip every synapse is updated once per nudged phase and image, at the published price of a
pairwise update; on a die the pulses of the update are added, where the source of the device has a figure.
Backpropagation of the twin takes the multiply-accumulates of a pass three times, for scores, for gradients of states
(none of the pixels) and for gradients of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from bench.compare.platforms import Entry, on_board
from hw.cost.constants import DAVIES_2018
from hw.cost.cost import Cost, Range
from hw.cost.loihi import loihi_cost
from hw.cost.profiles import DAVIES
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from hw.ledger import Ledger, counted
from mapping.learning import descent_of
from mapping.machines import to_digital
from mapping.placement.synapses import synapses_of
from mapping.program import Program
from models.data import ImageSet
from models.ep.network import EPNetwork

IMAGES = 8
"""Of the one update that is run."""
PHASES = UpdatePhases.centered(0.2, free_steps=20, nudged_steps=10)
RATE = 1e-3
"""Small: one update is not to leave the range of any device."""
PLATFORMS = {
    "roofline-h200": "GPU (H200)",
    "davies2018": "Loihi 1 simulated",
    "hermes-14nm": "PCM crossbar, HERMES 14 nm",
}
"""By profile."""
EP, BACKPROPAGATION = "equilibrium propagation", "backpropagation of the twin"


def training_rows(entries: Sequence[Entry], train: ImageSet, done: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row per way to train that an entry stands for."""
    rows = []
    for entry in entries:
        where = (entry.key.backend, entry.key.precision)
        done(f"{entry.network}: an update on {entry.key.backend}")
        if entry.in_floats:
            rows.append(_on_gpu(entry, train) if entry.settles else _backpropagation(entry, train))
        elif entry.settles and where == ("lava", "fixed"):
            rows.append(_on_chip(entry, train))
        elif entry.settles and where == ("crossbar", "analog"):
            rows.append(_on_die(entry, train))
    return rows


def _rule(source: EPNetwork | Program) -> LearningRule:
    links = len(source.links) + (source.readout is not None)
    return LearningRule(PHASES, descent_of(source, [RATE] * links), IMAGES)


def _learnt(source: EPNetwork | Program, train: ImageSet) -> Ledger:
    images = train.at_most(IMAGES)
    machine = to_digital(source, steps=1, batch_size=IMAGES)
    return machine.learn(images.floats().numpy(), images.labels.numpy(), _rule(source)).ledger


def _row(entry: Entry, how: str, platform: str, cost: Cost | None, images: int, note: str) -> dict[str, Any]:
    energy = None if cost is None else {name: images * joules for name, joules in asdict(cost.energy_j).items()}
    return {
        "network": entry.network,
        "how": how,
        "platform": PLATFORMS.get(platform, platform),
        "profile": platform,
        "energy_j": energy,
        "note": note,
    }


def _on_gpu(entry: Entry, train: ImageSet) -> dict[str, Any]:
    ledger = _learnt(entry.work.network, train)
    (profile, cost), *_ = on_board(ledger).items()
    return _row(entry, EP, profile, cost, len(train), f"{PHASES.steps} steps an image, updates of {IMAGES} images")


def _backpropagation(entry: Entry, train: ImageSet) -> dict[str, Any]:
    images = train.at_most(IMAGES).floats().numpy()
    machine = to_digital(entry.work.network, steps=entry.work.conditions.settling.steps, batch_size=IMAGES)
    ledger = machine.settle(images).ledger
    done = counted(ledger.arithmetic, "arithmetic")
    macs = 3 * done.macs - machine.circuit.wires[0].macs * ledger.images
    trained = replace(ledger, arithmetic=replace(done, macs=macs, bytes_moved=3 * done.bytes_moved))
    (profile, cost), *_ = on_board(trained).items()
    return _row(entry, BACKPROPAGATION, profile, cost, len(train), f"updates of {IMAGES} images")


def _on_chip(entry: Entry, train: ImageSet) -> dict[str, Any]:
    """Counts are those of the integer reference, which Lava learns by bit for bit; it sends every state that is not
    zero while it learns."""
    program = entry.work.program
    assert program is not None, "an entry of integers has its program"
    ledger = _learnt(program, train)
    ledger = replace(
        ledger, messages=replace(counted(ledger.messages, "messages"), coding="zero_skip"), arithmetic=None
    )
    cost = loihi_cost(ledger, DAVIES)
    links = [link.operator(link.weight) for link in program.named_links().values()]
    updates = len(PHASES.betas) * sum(synapses_of(link) for link in links)
    price = updates * DAVIES_2018["stdp_energy"].nominal
    energy = Range(*(getattr(cost.energy_j, end) + price for end in ("low", "nominal", "high")))
    share = 100 * price / energy.nominal
    note = f"{PHASES.steps} steps an image, states sent whole; {share:.0f} % are updates of synapses"
    return _row(entry, EP, DAVIES.name, replace(cost, energy_j=energy), len(train), note)


def _on_die(entry: Entry, train: ImageSet) -> dict[str, Any]:
    images = train.at_most(IMAGES)
    with entry.backend.open(entry.work, entry.key)[0]() as machine:
        machine.settle(images.first(1).floats().numpy())  # what programming the die took is in its first ledger
        learner: Any = machine
        ledger = learner.learn(images.floats().numpy(), images.labels.numpy(), _rule(entry.work.network)).ledger
    prices = entry.backend.pricer(entry.key, entry.work)(ledger)
    if not prices.costs:
        return _row(entry, EP, "crossbar", None, len(train), "; ".join(prices.unpriced.values()))
    profile, cost = next(iter(prices.costs.items()))
    written = counted(ledger.tiles, "tiles").written.energy_j
    pulses = None if written is None else written / ledger.images
    if pulses is None:
        return _row(entry, EP, profile, cost, len(train), "reads alone: the device has no published energy of a pulse")
    energy = Range(*(getattr(cost.energy_j, end) + pulses for end in ("low", "nominal", "high")))
    note = f"updates of {IMAGES} images; {100 * pulses / energy.nominal:.0f} % are pulses of writing"
    return _row(entry, EP, profile, replace(cost, energy_j=energy), len(train), note)
