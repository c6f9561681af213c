"""What a study of learning is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import tyro

from bench.command_line import ConfigError, choose, option
from bench.machines.backend import MOST_BATCH, MOST_STEPS
from bench.options import check_once
from bench.studies.defaults import QUICK_BETAS, SWEPT_BETAS, StudyDefaults

if TYPE_CHECKING:
    from bench.machines.backend import Backend
    from bench.machines.crossbar import CrossbarBackend
    from bench.machines.resistive import ResistiveBackend
    from hw.learning.phases import UpdatePhases
    from mapping.training import LearningSchedule

MOST_EPOCHS, MOST_NUDGES, MOST_REPEATS = 100_000, 16, 1000
"""Weights of more nudges than that cancel to noise in float64."""
Study = Literal["repair", "scratch", "beta"]
STUDIES: tuple[Study, ...] = get_args(Study)
Nudging = Literal["one_sided", "centered", "n_point"]
"""Ways to choose the nudges of an update: constructors of `hw.learning.phases.UpdatePhases`."""
NUDGINGS: tuple[Nudging, ...] = get_args(Nudging)


@dataclass(frozen=True)
class LearnOptions:
    """A study: repair (a trained network on a damaged die gets better by EP on the die), scratch (a fresh network
    learns on the machine) or beta (how well a noisy die sees the gradient, against the nudge)."""

    study: tyro.conf.Positional[Study]
    """repair, scratch or beta."""
    update: Annotated[tuple[str, ...], option("NAME..", "pulses if published, else rewrite")] = ()
    """rewrite, pulses, mixed, two-arrays."""
    epochs: Annotated[int | None, option("N", "repair 5, scratch 12, dies 20")] = None
    """Times every training image is seen."""
    learning_rates: Annotated[tuple[float, ...] | None, option("X..", "the study's")] = None
    """One per link and one for the readout."""
    beta: Annotated[tuple[float, ...], option("X..", "the study's")] = ()
    """Nudge; the study of beta sweeps all of them."""
    estimator: Annotated[Nudging, option("HOW")] = "centered"
    """one_sided, centered or n_point."""
    nudges: Annotated[int, option("N")] = 4
    """Phases of n_point."""
    phase_repeats: Annotated[int, option("N")] = 1
    """Times every nudged phase is run and averaged."""
    free_steps: Annotated[int, option("T")] = 20
    """Synchronous steps of the free phase."""
    nudged_steps: Annotated[int, option("T")] = 10
    """Synchronous steps of each nudged phase."""
    learning_batch: Annotated[int, option("N")] = 16
    """Images per update."""


def update_phases(options: LearnOptions, beta: float) -> UpdatePhases:
    """The phases of an update."""
    return nudged_phases(options.estimator, beta, options, options.nudges).repeated(options.phase_repeats)


def nudged_phases(nudging: Nudging, beta: float, options: LearnOptions, points: int) -> UpdatePhases:
    """The phases of one way of nudging with the steps of the options; `points` are those of n_point."""
    from hw.learning.phases import UpdatePhases

    free, nudged = options.free_steps, options.nudged_steps
    if nudging == "n_point":
        return UpdatePhases.n_point(beta, free_steps=free, nudged_steps=nudged, points=points)
    make = UpdatePhases.centered if nudging == "centered" else UpdatePhases.one_sided
    return make(beta, free_steps=free, nudged_steps=nudged)


def schedule_of(options: LearnOptions, defaults: StudyDefaults, quick: bool) -> LearningSchedule:
    """The schedule that the options, or else the defaults, describe."""
    from mapping.training import LearningSchedule

    return LearningSchedule(
        phases=update_phases(options, options.beta[0] if options.beta else defaults.beta),
        learning_rates=options.learning_rates or defaults.learning_rates,
        epochs=1 if quick else options.epochs or defaults.epochs,
        batch_size=options.learning_batch,
        weight_decay=defaults.weight_decay,
        momentum=defaults.momentum,
    )


def idle_of(options: LearnOptions, backends: tuple[str, ...]) -> dict[str, str]:
    """Options of learning that change nothing in this study on these machines, and what they would need."""
    drawn = {"--plots": "bench.run: a study draws its own picture"}
    if backends == ("resistive",):
        drawn |= dict.fromkeys(("--free-steps", "--nudged-steps"), "a machine with a clock: resistors settle")
    if options.study == "beta":
        learnt = "the study repair or scratch: beta only compares nudges"
        flags = ("--epochs", "--learning-rates", "--learning-batch", "--batch-size", "--tolerance")
        nudged = dict.fromkeys(("--estimator", "--nudges", "--phase-repeats"), "another study: beta compares them all")
        return {**dict.fromkeys(flags, learnt), **nudged, **drawn}
    return drawn if options.estimator == "n_point" else {**drawn, "--nudges": "--estimator n_point"}


def check_learning(options: LearnOptions, backends: tuple[str, ...]) -> None:
    """Refuse what cannot be learnt; ValueError names the option, its value and the choices."""
    from bench.machines.registry import BACKENDS

    writing = [name for name in backends if BACKENDS[name].updates]
    if options.study != "scratch" and (len(backends) > 1 or not writing):
        raise ValueError(
            f"the study {options.study} runs on --backend crossbar alone or resistive alone, not on "
            f"{', '.join(backends)}"
        )
    if options.update and not writing:
        raise ValueError(
            f"--update {list(options.update)}: only crossbar and resistive have a choice, not {', '.join(backends)}"
        )
    for name in options.update:
        for machine in writing:
            choose("--update", name, BACKENDS[machine].updates)
    if options.study == "beta" and options.update:
        raise ValueError(f"--update {list(options.update)}: the study beta writes nothing")
    if options.study != "beta" and len(options.beta) > 1:
        raise ValueError(f"--beta {list(options.beta)}: only the study beta sweeps it, give one value")
    if options.study == "repair" and len(options.update) > 1:
        raise ValueError(f"--update {list(options.update)}: a repair writes in one way, give one")
    for name, values in (("--beta", options.beta), ("--update", options.update)):
        check_once(name, values)
    counts = (
        ("--epochs", options.epochs, MOST_EPOCHS),
        ("--learning-batch", options.learning_batch, MOST_BATCH),
        ("--free-steps", options.free_steps, MOST_STEPS),
        ("--nudged-steps", options.nudged_steps, MOST_STEPS),
        ("--nudges", options.nudges, MOST_NUDGES),
        ("--phase-repeats", options.phase_repeats, MOST_REPEATS),
    )
    for name, value, most in counts:
        if value is not None and not 1 <= value <= most:
            raise ValueError(f"{name} is {value}, must be 1 to {most:,}")
    if options.learning_rates is not None and not all(0 <= rate < float("inf") for rate in options.learning_rates):
        raise ValueError(f"--learning-rates {list(options.learning_rates)} must be finite numbers from 0")
    squared = options.study == "scratch" and "crossbar" in backends
    for beta in options.beta or (0.5,):
        phases = update_phases(options, beta)  # refuses steps, repeats and nudges that are none
        if squared and min(phases.betas) <= -1:
            raise ValueError(
                f"--beta {beta:g}: the network that learns on dies has a squared-error output, which has no minimum at "
                "beta <= -1; use a beta below 1, or --estimator one_sided"
            )


def check_learners(precisions: Sequence[str], machines: Sequence[Backend]) -> None:
    """Refuse what no machine learns from scratch in; ValueError lists what each one learns in."""
    offered = "; ".join(f"{machine.name}: {', '.join(machine.learns) or 'none'}" for machine in machines)
    learnt = {name for machine in machines for name in machine.learns}
    if not learnt:
        raise ValueError(f"none of --backend learns from scratch (precisions that learn: {offered})")
    for name in precisions:
        if name not in learnt:
            raise ValueError(f"--precision {name} does not learn from scratch, precisions that do: {offered}")


def check_dies(options: LearnOptions, dies: CrossbarBackend) -> None:
    """Refuse neurons, tiles and ways to write that the devices of a run cannot learn with; ValueError says why."""
    from bench.machines.crossbar_dies import design_of, device_of
    from bench.machines.crossbar_updates import UPDATES

    if dies.tiles.neurons == "analog":
        raise ValueError(f"the study {options.study} with --neurons analog: they cannot be nudged, it takes digital")
    for point in dies.points():
        for name in options.update or ("rewrite",):  # any device that learns can be rewritten
            UPDATES[name].check(device_of(point, dies), design_of(point, dies))


def check_resistors(options: LearnOptions, backend: ResistiveBackend) -> None:
    """Refuse dies that have nothing to repair, and ways to write that their devices do not have; ValueError."""
    from hw.crossbar.devices.presets import PRESETS
    from hw.crossbar.devices.pulsing import response_of

    ideal = not backend.has_dies()
    if ideal and options.study != "scratch":
        raise ValueError("--resistor ideal: nothing is wrong with these, name a device or --offset-mv")
    if ideal and options.update:
        raise ValueError(
            f"--update {list(options.update)}: ideal resistors take any value, name a device by --resistor"
        )
    for name in backend.devices if "pulses" in options.update else ():
        response_of(PRESETS[name])


def check_rates(options: LearnOptions, links: Mapping[str, int]) -> None:
    """Refuse rates that do not fit; `links` counts the links, readout included, of what learns, by its name.

    Raises `ConfigError`.
    """
    rates = options.learning_rates
    for name, count in links.items():
        if rates is not None and len(rates) != count:
            raise ConfigError(
                f"--learning-rates {list(rates)} are {len(rates)} values, {name} has {count}: one per link and readout"
            )


def betas_of(options: LearnOptions, quick: bool) -> tuple[float, ...]:
    """The nudges of a sweep."""
    return options.beta or (QUICK_BETAS if quick else SWEPT_BETAS)
