"""Whole tasks on silicon, as published: what models are held against, never what they are made of."""

from __future__ import annotations

from functools import partial

from hw.cost.constants.constant import Constant

_pilotnet = partial(
    Constant,
    node="Loihi 2, Oheo Gulch",
    source="lava-nc/lava-dl, tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb, outputs of the cells",
    kind="measured",
)

PILOTNET = {
    "steps_per_inference": _pilotnet(16, "1"),
    "throughput": _pilotnet(408.91, "1/s", note="inferences; another run of the notebook gave 342.29"),
    "step_time": _pilotnet(152.8e-6, "s", note="1 / (408.91 * 16)"),
    "power": _pilotnet(0.679, "W"),
    "dynamic_power": _pilotnet(0.447, "W"),
    "static_power": _pilotnet(0.232, "W"),
    "inference_energy": _pilotnet(1.661e-3, "J"),
    "dynamic_inference_energy": _pilotnet(1.094e-3, "J"),
    "cores": _pilotnet(74, "1"),
}
"""PilotNet of leaky integrate-and-fire neurons on Loihi 2: the only chip figures whose network and cores are public."""

_abstract = partial(Constant, node="Loihi 2", kind="measured")

LOIHI_2_TASKS = {
    "s4d_energy_ratio": _abstract(1000, "1", source="arXiv:2409.15022, abstract: energy of a Jetson Orin Nano over it"),
    "s4d_latency_ratio": _abstract(75, "1", source="arXiv:2409.15022, abstract: latency of a Jetson Orin Nano over it"),
    "delays_energy_ratio": _abstract(
        250, "1", source="arXiv:2510.13757, abstract: energy of a Jetson Orin Nano over it, up to"
    ),
    "delays_latency_ratio": _abstract(
        18, "1", source="arXiv:2510.13757, abstract: latency of a Jetson Orin Nano over it, up to"
    ),
    "language_throughput_ratio": _abstract(
        3, "1", source="arXiv:2503.18002, abstract: throughput over transformers on an edge GPU, up to"
    ),
    "language_energy_ratio": _abstract(2, "1", source="arXiv:2503.18002, abstract: energy of an edge GPU over it"),
}
"""Ratios to other computers on tasks that suit the chip, token by token or event by event."""
