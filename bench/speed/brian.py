"""How fast Brian settles: `python -m bench.speed brian`."""

from __future__ import annotations

from functools import partial

from bench.evaluate import one_thread_each
from bench.speed.timing import Speed, check_counts, fastest
from hw.brian.options import SigmaDelta, Simulation
from hw.ledger import counted
from hw.machine import Machine
from mapping.machines import to_brian, to_digital
from models.data import load_data
from models.ep.network import EPNetwork
from models.zoo import load_model


def speed_brian(batch: int = 64, steps: int = 200, synapse_images: int = 4) -> Speed:
    """Settling digits in Brian beside torch on the same steps, one thread each.

    seconds: per image and step, synchronous or of dt = tau, at this batch size; `synapses` cases, in which every
    synapse is one of Brian's, with so many images and half the steps. Spikes are those of the default threshold;
    `events_per_second` are synaptic events. A run of Brian's pays for its code once: give it as many steps as in use.
    """
    check_counts(batch=batch, steps=steps, synapse_images=synapse_images)
    network = load_model("digits")
    images = load_data("digits").train.first(max(batch, synapse_images)).floats().numpy()
    few = max(steps // 2, 2)
    shown = {"torch": batch, "brian_rate": batch, "brian_spikes": batch}
    shown |= {"brian_rate_synapses": synapse_images, "brian_spikes_synapses": synapse_images}
    lasting = {name: few if name.endswith("synapses") else steps for name in shown}
    machines = {name: _machine(name, network, lasting[name], count) for name, count in shown.items()}
    with one_thread_each():
        cases = {name: partial(machine.settle, images[: shown[name]]) for name, machine in machines.items()}
        seconds = fastest(cases, repeats=3, clock="processor")
    sent = counted(machines["brian_spikes"].settle(images[:batch]).ledger.messages, "messages")
    spikes = float(sent.column("delta", "spikes")[:, 1:].sum())
    per_step = {name: value / (shown[name] * lasting[name]) for name, value in seconds.items()}
    return Speed(
        per_step,
        "per image and step",
        {f"{name}_over_torch": per_step[name] / per_step["torch"] for name in shown if name != "torch"},
        {
            "spikes_per_second": spikes / seconds["brian_spikes"],
            "events_per_second": sent.synops("delta") / seconds["brian_spikes"],
        },
        clock="processor",
    )


def _machine(name: str, network: EPNetwork, steps: int, count: int) -> Machine:
    if name == "torch":
        return to_digital(network, steps=steps, batch_size=count)
    simulation = Simulation(dt_tau=1.0, linear="synapses" if name.endswith("synapses") else "operator")
    scheme = SigmaDelta() if "spikes" in name else None
    return to_brian(network, duration_tau=float(steps), scheme=scheme, simulation=simulation, batch_size=count)
