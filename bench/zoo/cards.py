"""What a user asks of a network before loading it onto hardware: one row per network and number format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bench.evaluate import Origin, Shown, evaluate
from bench.machines.backend import Conditions, RowKey, Settling, Workload
from bench.machines.registry import backend_of
from bench.records.row import Row
from bench.records.statistics import accuracy_interval
from bench.records.zoo_row import ZooRow, card_key
from hw.events.messages import CODINGS
from mapping.placement.cores import place
from mapping.placement.synapses import synapses_per_unit
from mapping.placement.tiles import tiles_used
from mapping.quantization import quantize
from models.data import Dataset
from models.ep.contraction import contraction
from models.ep.feedback import measure_feedback
from models.ep.network import EPNetwork
from models.train.manifest import parameter_count
from models.zoo import load_model
from models.zoo.manifests import fingerprint, manifest_of

CALIBRATION_IMAGES = 256
FEEDBACK_IMAGES = 1000
"""Test images that feedback is measured on."""
TILE_SIZE = 256
"""Weights in a row and in a column of the tiles that are counted."""
FLOAT, DELTA = RowKey("torch", "float"), RowKey("lava", "delta")
"""Every state in float32; int8 weights and 8-bit states on Lava, changes of at least one code sent."""


@dataclass(frozen=True)
class Card:
    """One row: a network, as its weights are now, in a number format."""

    model: str
    sha256: str
    """Of its checkpoint: a network that was trained again has other rows."""
    row: RowKey

    @property
    def key(self) -> str:
        """What identifies the row in a run folder."""
        return card_key(self.model, self.sha256, self.row.key)


@dataclass(frozen=True)
class Setting:
    """How the rows of a run are measured."""

    limit: int | None
    """Test images; None takes all."""
    steps: int | None
    """Step limit T; None takes the one in the manifest."""
    batch_size: int
    device: str


def cards_of(model: str) -> list[Card]:
    """The rows of a network: integers run no max pooling."""
    pooled = any(getattr(link, "pooling", "none") == "max" for link in load_model(model).links)
    return [Card(model, fingerprint(model), row) for row in ((FLOAT,) if pooled else (FLOAT, DELTA))]


def steps_of(model: str, setting: Setting) -> int:
    """Step limit; ValueError for a manifest that names none."""
    steps = setting.steps or manifest_of(model)["hyperparameters"].get("steps")
    if steps is None:
        raise ValueError(f"the manifest of {model} says nothing about its steps: give --steps")
    return int(steps)


def make_row(card: Card, dataset: Dataset, setting: Setting, advance: Callable[[str], None]) -> ZooRow:
    """Settle the clean test images once, and count."""
    network, steps = load_model(card.model), steps_of(card.model, setting)
    test = dataset.test.at_most(setting.limit or len(dataset.test))
    calibration = dataset.train.at_most(CALIBRATION_IMAGES).floats()
    program = quantize(network, calibration, steps=steps) if card.row == DELTA else None
    settling = Settling(steps, setting.batch_size)
    work = Workload(network, program, Conditions(settling, calibration.numpy(), 0, setting.device))
    shown = Shown(test.floats().numpy(), test.labels.numpy(), {})
    origin = Origin(card.model, dataset.name, 0)
    machine = backend_of(card.row.backend)()
    row, _ = evaluate(machine, card.row, work, shown, origin, lambda what: advance(f"{card.model}: {what}"))
    row = replace(row, by_step=_against_steps(row, len(shown.labels)))
    advance(f"{card.model}: feedback")
    measured = measure_feedback(network, test.at_most(FEEDBACK_IMAGES), steps=steps)
    feedback = {name: value for name, value in asdict(measured).items() if name != "accuracy_by_step"}
    return ZooRow(row, card.sha256, steps, anatomy(network), feedback)


def anatomy(network: EPNetwork) -> dict[str, Any]:
    """Size, what a step is sure to contract by, and room taken on either kind of hardware."""
    cores = place(network.links, feedback=network.feedback).used
    matrices = network.links if network.readout is None else (*network.links, network.readout)
    return {
        "parameters": parameter_count(network),
        "contraction": contraction(network),
        "units": sum(int(np.prod(shape)) for shape in network.layers),
        "synapses_per_unit": synapses_per_unit(network.links),
        "loihi_cores": {"input": cores[0], "layers": list(cores[1:])},
        "tiles": {"size": TILE_SIZE, "links": list(tiles_used(matrices, TILE_SIZE))},
    }


def _against_steps(row: Row, images: int) -> dict[str, Any]:
    """Entry t - 1 is what T = t steps give and cost: accuracy with Wilson's 95 % interval, and synaptic operations per
    image of all steps up to there. Float states move in their last bits for ever: delta is counted of integers."""
    curves = row.by_step or {}
    codings = CODINGS if row.precision == "delta" else CODINGS[:2]
    return {
        "accuracy": curves["accuracy"],
        "accuracy_ci95": [accuracy_interval(round(share * images), images) for share in curves["accuracy"]],
        **{f"synops_{name}": np.cumsum(curves[f"synops_{name}"]).tolist() for name in codings},
    }
