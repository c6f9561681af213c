"""What an epoch takes, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.machines import DENSE
from helpers.random_nets import program_of, random_images

from bench.compare.platforms import Entry
from bench.compare.training import BACKPROPAGATION, EP, IMAGES, PHASES, training_rows
from bench.machines.backend import Conditions, RowKey, Settling, Workload
from bench.machines.lava import LavaBackend
from bench.machines.torch import TorchBackend
from hw.cost.constants import DAVIES_2018, GPUS
from hw.cost.loihi import loihi_cost
from hw.cost.profiles import DAVIES
from hw.learning.rule import LearningRule
from hw.ledger import Ledger, counted
from mapping.learning import descent_of
from mapping.machines import to_digital
from models.data import ImageSet
from models.ep.network import EPNetwork

INPUTS, HIDDEN, LAST, CLASSES = 6, 5, 4, 3
"""Of `DENSE`: 6 pixels, layers of 5 and 4, and a readout of 3."""
MACS = INPUTS * HIDDEN + HIDDEN * LAST + LAST * CLASSES
TRAIN = ImageSet(
    torch.as_tensor(random_images((1, 2, 3), 20, 3), dtype=torch.float32), torch.arange(20) % CLASSES, scale=1
)


def entry(network: EPNetwork, backend: TorchBackend | LavaBackend, precision: str) -> Entry:
    conditions = Conditions(Settling(steps=5), TRAIN.floats().numpy(), 0, "cpu")
    program = program_of(network, state_bits=8, seed=4) if precision == "fixed" else None
    return Entry("net", backend, RowKey(backend.name, precision), Workload(network, program, conditions))


def told(_what: str) -> None: ...


def test_backpropagation_multiplies_three_times_but_asks_no_gradient_of_pixels() -> None:
    twin = replace(DENSE, feedback=False)
    (row,) = training_rows([entry(twin, TorchBackend(), "float")], TRAIN, told)
    assert (row["how"], row["platform"]) == (BACKPROPAGATION, "GPU (H200)")
    gpu = GPUS["h200"]
    macs = 3 * MACS - INPUTS * HIDDEN
    expected = len(TRAIN) * gpu["tdp"].nominal * 2 * macs / gpu["peak_int8"].nominal
    assert row["energy_j"]["low"] == pytest.approx(expected)


def test_equilibrium_propagation_multiplies_up_and_down_at_every_step() -> None:
    (row,) = training_rows([entry(DENSE, TorchBackend(), "float")], TRAIN, told)
    assert row["how"] == EP
    gpu = GPUS["h200"]
    macs = row["energy_j"]["low"] / len(TRAIN) / gpu["tdp"].nominal * gpu["peak_int8"].nominal / 2
    dynamics = INPUTS * HIDDEN + 2 * HIDDEN * LAST * PHASES.steps
    correlations = len(PHASES.betas) * (INPUTS * HIDDEN + HIDDEN * LAST)
    # the readout: scores up and error down in every nudged step, scores and correlation at the two ends, and answers
    readout = LAST * CLASSES * (2 * (PHASES.steps - PHASES.free_steps + len(PHASES.betas)) + 1)
    assert macs == pytest.approx(dynamics + correlations + readout)


def test_on_a_chip_every_synapse_is_updated_once_per_nudged_phase() -> None:
    here = entry(DENSE, LavaBackend(), "fixed")
    (row,) = training_rows([here], TRAIN, told)
    program = here.work.program
    assert program is not None
    images = TRAIN.at_most(IMAGES)
    rule = LearningRule(PHASES, descent_of(program, [1e-3] * 3), IMAGES)
    ledger = to_digital(program, steps=1).learn(images.floats().numpy(), images.labels.numpy(), rule).ledger
    sent = Ledger(ledger.images, replace(counted(ledger.messages, "messages"), coding="zero_skip"))
    events = loihi_cost(sent, DAVIES).energy_j.nominal
    updates = row["energy_j"]["nominal"] / len(TRAIN) - events
    assert updates == pytest.approx(2 * MACS * DAVIES_2018["stdp_energy"].nominal)
    assert f"{100 * updates / (events + updates):.0f} % are updates of synapses" in row["note"]
    assert np.isfinite(row["energy_j"]["high"])
