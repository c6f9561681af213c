"""A row under NeuroBench's names (Yik et al., Nat. Commun. 16:1545, 2025), counted by the machine while it settled.

Hooks on layers see convolutions and products and miss the transposed ones, which are half of what a network that
settles does; the ledger holds both directions, and the readout. Per image:

    footprint            bytes of weights and biases, in the numbers that were loaded
    connection_sparsity  share of weights that are zero
    activation_sparsity  share of states, of all steps and computed layers, that were zero
    dense                synaptic operations if nothing were skipped
    effective_macs       those that a state other than zero caused; of a machine that sends changes those of changes
    effective_acs        the same where messages are spikes, which are added up and multiplied with nothing
    feedback             share of the effective ones that went down

A weight of zero counts as an operation here, as it is stored; NeuroBench leaves it out of the effective ones, which are
at most (1 - connection_sparsity) times as many then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hw.ledger import Ledger

if TYPE_CHECKING:
    from mapping.program import Program
    from models.ep.network import EPNetwork


def neurobench(ledger: Ledger, source: EPNetwork | Program, *, spikes: bool) -> dict[str, float] | None:
    """The figures of one machine; None where nothing is sent step by step. `spikes`: messages carry no number."""
    sent = ledger.messages
    if sent is None:
        return None
    wire = "zero_skip" if sent.coding == "dense" else sent.coding
    up, down = (float(sent.column(wire, name).sum()) / ledger.images for name in ("synops_up", "synops_down"))
    readout = sent.readout_synops / ledger.images
    effective = up + down + readout
    possible = float(sent.column("dense", "spikes")[:, 1:].sum())
    active = float(sent.column("zero_skip", "spikes")[:, 1:].sum())
    return {
        **_of_source(source),
        "activation_sparsity": 1.0 - active / possible if possible else 0.0,
        "dense": sent.synops("dense") / ledger.images + readout,
        "effective_macs": 0.0 if spikes else effective,
        "effective_acs": effective if spikes else 0.0,
        "feedback": down / effective if effective else 0.0,
    }


def _of_source(source: EPNetwork | Program) -> dict[str, float]:
    from mapping.program import Program

    if isinstance(source, Program):
        links = source.named_links().values()
        weights = [link.weight for link in links]
        footprint = sum(link.weight.nbytes + link.bias.nbytes for link in links)
    else:
        tensors = source.named_parameters()
        weights = [tensor.numpy() for name, tensor in tensors.items() if name.endswith("weight")]
        footprint = sum(tensor.numpy().nbytes for tensor in tensors.values())
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return {"footprint": float(footprint), "connection_sparsity": zeros / sum(weight.size for weight in weights)}
