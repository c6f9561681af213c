"""What a learning run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from bench.machines.crossbar import CrossbarOptions, design_of, device_of, points
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.rewriting import Rewriting
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.two_arrays import TwoArrays
from hw.crossbar.updates.update import Update
from hw.learning.phases import UpdatePhases
from mapping.training import LearningSchedule

Nudging = Literal["one_sided", "centered", "n_point"]
"""Ways to choose the nudges of an update: constructors of `hw.learning.phases.UpdatePhases`."""
Study = Literal["repair", "scratch", "beta"]
STUDIES = get_args(Study)

UPDATES: dict[str, Update] = {
    "rewrite": Rewriting(),
    "pulses": StochasticPulses(),
    "mixed": MixedPrecision(),
    "two-arrays": TwoArrays(fast_gain=4.0, transfer=1.0, cycle=8),
}
"""Ways to write a learnt change, by name."""

STUCK = 0.025
"""Share of devices stuck on, and as many stuck off, that a repair starts from unless told otherwise."""
SWEPT_BETAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
QUICK_BETAS = (0.05, 0.5)


@dataclass(frozen=True)
class LearnOptions:
    """Learning runs."""

    learn: Study | None = None
    """Learn instead of only settling: repair (a trained network on a damaged die gets better by EP on the die), scratch
    (a fresh network learns on the machine) or beta (how well a noisy die sees the gradient, against the nudge)."""
    update: tuple[str, ...] = ()
    """How a crossbar writes: rewrite, pulses, mixed, two-arrays. Default: rewrite for repair; for scratch pulses where
    the device has a published response to them, else rewrite."""
    epochs: int | None = None
    """Times every training image is seen. Default: 5 for repair, 20 for scratch."""
    learning_rates: tuple[float, ...] | None = None
    """One per link and one for the readout, at the start; a cosine takes them to 0. Default: those of the study."""
    beta: tuple[float, ...] = ()
    """Nudge; --learn beta sweeps all that are given. Default: that of the study, and 0.01 to 2 for beta."""
    estimator: Nudging = "centered"
    """Which nudged phases an update compares: one_sided, centered or n_point."""
    nudges: int = 4
    """UpdatePhases of n_point."""
    phase_repeats: int = 1
    """Times every nudged phase is run and averaged."""
    free_steps: int = 20
    """Synchronous steps of the free phase."""
    nudged_steps: int = 10
    """Synchronous steps of each nudged phase."""
    learning_batch: int = 16
    """Images per update."""


@dataclass(frozen=True)
class StudyDefaults:
    """What a study does where the command line is silent; found on validation images."""

    epochs: int
    learning_rates: tuple[float, ...]
    beta: float
    momentum: float = 0.0
    weight_decay: tuple[float, ...] | None = None


REPAIR = StudyDefaults(epochs=5, learning_rates=(0.05, 0.02, 0.2), beta=0.5)
"""Of the zoo's digits networks: two convolutions and a readout."""
SCRATCH_DIES = StudyDefaults(epochs=20, learning_rates=(0.5, 0.5), beta=0.9)
"""Of the dense network that learns from scratch on dies. An output that the first updates have driven below -beta stays
at 0 in every phase and never learns again: rates of 0.5 lost classes so at beta 0.5, and lose none at 0.9. With a
squared error beta must stay below 1."""
SCRATCH_FLOAT = StudyDefaults(
    epochs=12, learning_rates=(0.08, 0.03, 0.3), beta=0.2, momentum=0.9, weight_decay=(1e-4, 1e-2, 3e-4)
)
"""Of the digits recipe on machines that compute in floating point."""
SCRATCH_FIXED = StudyDefaults(epochs=12, learning_rates=(0.4, 0.15, 1.5), beta=0.5)
"""Of the digits recipe on machines that compute in integers, whose synapses have no momentum."""


def phases_of_options(options: LearnOptions, beta: float) -> UpdatePhases:
    """The phases of an update."""
    return nudged_phases(options.estimator, beta, options, points=options.nudges).repeated(options.phase_repeats)


def nudged_phases(nudging: Nudging, beta: float, options: LearnOptions, points: int) -> UpdatePhases:
    """The phases of one way of nudging with the steps of the options; `points` are those of n_point."""
    steps = {"free_steps": options.free_steps, "nudged_steps": options.nudged_steps}
    if nudging == "n_point":
        return UpdatePhases.n_point(beta, **steps, points=points)
    return UpdatePhases.centered(beta, **steps) if nudging == "centered" else UpdatePhases.one_sided(beta, **steps)


def schedule_of(options: LearnOptions, defaults: StudyDefaults, quick: bool) -> LearningSchedule:
    """The schedule that the options, or else the defaults, describe."""
    return LearningSchedule(
        phases=phases_of_options(options, options.beta[0] if options.beta else defaults.beta),
        learning_rates=options.learning_rates or defaults.learning_rates,
        epochs=1 if quick else options.epochs or defaults.epochs,
        batch_size=options.learning_batch,
        weight_decay=defaults.weight_decay,
        momentum=defaults.momentum,
    )


def dies_of(learn: Study | None, options: CrossbarOptions) -> CrossbarOptions:
    """The dies of a study where the command line is silent.

    Repair: stuck devices, and the transposed read at the far ends of the wires. Scratch: devices as they are right
    after programming, in pairs that share a weight.
    """
    if learn == "repair":
        return replace(
            options,
            stuck_on=STUCK if options.stuck_on is None else options.stuck_on,
            stuck_off=STUCK if options.stuck_off is None else options.stuck_off,
            transpose_terminals=options.transpose_terminals or "opposite",
        )
    if learn == "scratch":
        return replace(
            options,
            hours=(0.0,) if options.hours is None else options.hours,
            encoding="balanced" if options.encoding == "pair" else options.encoding,
        )
    return options


def check_learning(options: LearnOptions, backends: tuple[str, ...]) -> None:
    """Refuse what cannot be learnt; ValueError names the option, its value and the choices."""
    if options.learn is None:
        for field in fields(options):
            if getattr(options, field.name) != field.default:
                option, given = field.name.replace("_", "-"), getattr(options, field.name)
                raise ValueError(f"--{option} {given} says nothing without --learn, choices are {', '.join(STUDIES)}")
        return
    if options.learn in ("repair", "beta") and backends != ("crossbar",):
        raise ValueError(f"--learn {options.learn} runs on --backend crossbar alone, not on {', '.join(backends)}")
    for name in options.update:
        if name not in UPDATES:
            raise ValueError(f"--update {name!r} is unknown, choices are {', '.join(UPDATES)}")
    if options.learn == "beta" and options.update:
        raise ValueError(f"--update {list(options.update)}: --learn beta writes nothing")
    if options.learn != "beta" and len(options.beta) > 1:
        raise ValueError(f"--beta {list(options.beta)}: only --learn beta sweeps it, give one value")
    if options.learn == "repair" and len(options.update) > 1:
        raise ValueError(f"--update {list(options.update)}: a repair writes in one way, give one")
    if options.epochs is not None and options.epochs < 1:
        raise ValueError(f"--epochs is {options.epochs}, must be at least 1")
    if options.learning_batch < 1:
        raise ValueError(f"--learning-batch is {options.learning_batch}, must be at least 1")
    if options.learning_rates is not None and not all(0 <= rate < float("inf") for rate in options.learning_rates):
        raise ValueError(f"--learning-rates {list(options.learning_rates)} must be finite numbers from 0")
    squared = options.learn == "scratch" and "crossbar" in backends
    for beta in options.beta or (0.5,):
        phases = phases_of_options(options, beta)
        if squared and min(phases.betas) <= -1:
            raise ValueError(
                f"--beta {beta:g}: the network that learns on dies has a squared-error output, which has no minimum at "
                "beta <= -1; use a beta below 1, or --estimator one_sided"
            )


def check_dies(options: LearnOptions, dies: CrossbarOptions) -> None:
    """Refuse neurons, tiles and ways to write that the devices of a run cannot learn with; ValueError says why."""
    if options.learn is None:
        return
    if dies.neurons == "analog":
        raise ValueError(f"--learn {options.learn} with --neurons analog: they cannot be nudged, it takes digital")
    for point in points(dies):
        for name in options.update or ("rewrite",):  # any device that learns can be rewritten
            UPDATES[name].check(device_of(point, dies), design_of(point, dies))


def check_rates(options: LearnOptions, links: Mapping[str, int]) -> None:
    """Refuse rates that do not fit; `links` counts the links, readout included, of what learns, by its name."""
    given = options.learning_rates
    for name, count in links.items():
        if given is not None and len(given) != count:
            raise ValueError(
                f"--learning-rates {list(given)} are {len(given)} values, {name} has {count}: one per link and readout"
            )


def betas_of(options: LearnOptions, quick: bool) -> tuple[float, ...]:
    """The nudges of a sweep."""
    return options.beta or (QUICK_BETAS if quick else SWEPT_BETAS)
