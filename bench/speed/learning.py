"""How fast machines learn: `python -m bench.speed learning`."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import torch

from bench.evaluate import one_thread_each
from bench.speed.timing import Speed, check_counts, fastest
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from hw.machine import LearningMachine
from mapping.learning import descent_of
from mapping.machines import to_digital, to_lava
from mapping.quantization import quantize
from models.command_line import before_work
from models.data import load_data
from models.ep.gradient import Phases, ep_gradient
from models.zoo import load_model


def speed_learning(batch: int = 64, updates: int = 8, free_steps: int = 24, nudged_steps: int = 12) -> Speed:
    """Updates of the digits network on Lava beside torch on the same steps, one thread each.

    seconds: per update of `batch` images. torch is the digital machine, synchronous as Lava is; `odd_even` is what
    training on a GPU or CPU does instead, half as many sweeps to the same states. A pass on Lava is one run, which pays
    its start once: `updates` of them are timed together.
    """
    check_counts(batch=batch, updates=updates, free_steps=free_steps, nudged_steps=nudged_steps)
    network, data = load_model("digits"), load_data("digits")
    with before_work():
        shown = data.train.first(batch * updates)
    images, labels = shown.floats(), shown.labels
    program = quantize(network, images, steps=free_steps, headroom_bits=1)
    # rates so small that every repetition meets the same network
    rule = LearningRule(
        UpdatePhases.centered(0.2, free_steps=free_steps, nudged_steps=nudged_steps),
        descent_of(network, [1e-6] * 3),
        batch,
    )
    phases = Phases(free_steps // 2, nudged_steps // 2, 0.2, "centered", "odd_even")
    with one_thread_each():
        with ExitStack() as stack:
            machines: dict[str, LearningMachine] = {
                "torch": to_digital(network, steps=free_steps),
                "torch_fixed": to_digital(program, steps=free_steps),
                "lava": stack.enter_context(to_lava(network, steps=free_steps)),
                "lava_fixed": stack.enter_context(to_lava(program, steps=free_steps)),
            }
            cases = {
                name: partial(machine.learn, images.numpy(), labels.numpy(), rule) for name, machine in machines.items()
            }
            seconds = fastest(cases, repeats=3)
        seconds = {name: value / updates for name, value in seconds.items()}
        one = partial(ep_gradient, network, images[:batch], labels[:batch], phases, torch.Generator())
        seconds |= fastest({"odd_even": one})
    ratios = {
        "lava_over_torch": seconds["lava"] / seconds["torch"],
        "lava_fixed_over_torch": seconds["lava_fixed"] / seconds["torch"],
        "lava_over_odd_even": seconds["lava"] / seconds["odd_even"],
    }
    return Speed(seconds, f"per update of {batch} images", ratios)
