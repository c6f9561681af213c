"""An export to Loihi, run by SANA-FE (Boyle et al., IEEE TCAD 2025) under its own constants: our ledger of the same
spikes costs the same.

SANA-FE is a cross-check and nothing more: it is under the GPL, and no line of the package imports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.exporting import exported
from helpers.random_nets import program_of

from hw.cost.loihi import loihi_cost
from hw.cost.profiles import SANAFE
from hw.events.messages import COLUMNS, MessageEvents
from hw.ledger import Ledger
from mapping.circuit import circuit_of
from mapping.export.loihi.format import LoihiFormat
from mapping.export.loihi.settle import matrix_of, read_network
from mapping.program import Program
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork

sanafe = pytest.importorskip("sanafe")
STEPS = 10
ROWS = 4
"""Of tiles of a Loihi 1; SANA-FE counts tiles down its columns, we count along rows."""


def program() -> Program:
    """8 x 8 images of 2 channels, convolutions of stride 1, 2 and 2: on more than one tile."""
    torch.manual_seed(0)
    first = ConvLink(torch.randn(24, 2, 3, 3) / 4, torch.zeros(24), (2, 8, 8), 1, 1)
    second = ConvLink(torch.randn(16, 24, 3, 3) / 12, torch.zeros(16), first.above, 2, 1)
    top = ConvLink(torch.randn(32, 16, 3, 3) / 8, torch.zeros(32), second.above, 2, 1)
    readout = DenseLink(torch.randn(4, 128) / 12, torch.zeros(4), top.above)
    return program_of(EPNetwork((first, second, top), readout), state_bits=8, seed=1)


def simulated(folder: Path) -> dict[str, Any]:
    """What SANA-FE says of the files: every unit on its core, every link in both directions, random input spikes."""
    network, numbers = read_network(folder)
    with np.load(folder / "placement.npz") as placed:
        cores = [placed[f"layer{layer}.core"] for layer in range(len(network["layers"]) + 1)]
    chip, net, rng = sanafe.load_loihi(), sanafe.Network(), np.random.default_rng(0)
    groups = []
    for layer, places in enumerate(cores):
        group = net.create_neuron_group(
            f"layer{layer}",
            len(places),
            model_attributes={} if layer == 0 else {"threshold": 1.0, "leak_decay": 0.9},
            log_spikes=True,
            default_synapse_hw_name="" if layer == 0 else "loihi_conv_synapse",
            default_dendrite_hw_name="" if layer == 0 else "loihi_dendrites",
            soma_hw_name="loihi_inputs[0]" if layer == 0 else "loihi_lif",
        )
        for number, (neuron, core) in enumerate(zip(group.neurons, places, strict=True)):
            if layer == 0:
                spikes = [int(one) for one in rng.random(STEPS) < 0.3]
                neuron.set_attributes(soma_hw_name=f"loihi_inputs[{number}]", model_attributes={"spikes": spikes})
            row, column = divmod(int(core) // 4, 8)
            neuron.map_to_core(chip.tiles[column * ROWS + row].cores[int(core) % 4])
        groups.append(group)
    for number, name in enumerate(name for name in network["links"] if name != "readout"):
        found = matrix_of(network["links"][name], numbers[f"{name}.weight"]).tocoo()
        weights = (found.data / 127.0).tolist()
        ways = [(groups[number], groups[number + 1], found.col, found.row)]
        ways += [(groups[number + 1], groups[number], found.row, found.col)] if number else []
        for source, target, pres, posts in ways:
            source.connect_neurons_sparse(
                target, {"weight": weights}, list(zip(pres.tolist(), posts.tolist(), strict=True))
            )
    simulation = sanafe.SpikingChip(chip)
    simulation.load(net)
    result: dict[str, Any] = simulation.sim(timesteps=STEPS, spike_trace=True, timing_model="simple")
    return result


def ledger_of(held: Program, spikes: list[Any]) -> Ledger:
    """What our machines count where the same units send in the same steps."""
    circuit = circuit_of(held)
    events = np.zeros((STEPS, len(circuit.layers), len(COLUMNS)))
    for step, fired in enumerate(spikes):
        for address in fired:
            layer = int(address.group_name.removeprefix("layer"))
            events[step, layer] += circuit.traffic[layer][address.neuron_offset]
    units = tuple(int(np.prod(shape)) for shape in circuit.layers)
    kinds = tuple(wire.kind for wire in circuit.wires)
    running = np.ones(STEPS, dtype=np.int64)
    return Ledger(1, MessageEvents(running, units, circuit.cores, kinds, events, events, events, "delta", 0.0))


@pytest.mark.slow
def test_sanafe_spends_what_our_ledger_of_the_same_spikes_does(tmp_path: Path) -> None:
    held = program()
    document = exported(held, LoihiFormat(), tmp_path)
    assert sum(document["cores"]) > 4, "several tiles, so that messages hop"
    theirs = simulated(tmp_path / "out")
    ledger = ledger_of(held, theirs["spike_trace"])
    assert ledger.messages is not None
    total = dict(zip(COLUMNS, ledger.messages.delta.sum(axis=(0, 1)), strict=True))
    # counts are theirs exactly: synapses that met a spike, packets of one spike to one core, units that fired
    assert total["synops_up"] + total["synops_down"] == theirs["spikes"]
    assert total["messages"] == theirs["packets_sent"]
    assert total["spikes"] == theirs["neurons_fired"] > 100
    ours = loihi_cost(ledger, SANAFE).breakdown_j
    assert ours["synapses"] == pytest.approx(theirs["energy"]["synapse"], rel=1e-9)
    # theirs updates every unit that receives, ours those that send; inputs cost it no spike
    dynamic = ours["synapses"] + ours["neurons"] + ours["messages"]
    assert dynamic == pytest.approx(theirs["energy"]["total"], rel=0.1)
    hops = ours["messages"] - total["spikes"] * SANAFE.spike_out.energy_j
    assert hops == pytest.approx(theirs["energy"]["network"], rel=1e-9)
