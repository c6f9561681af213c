"""`python -m bench.learn repair|scratch|beta`: can the machine repair itself, or learn from nothing?

Repair: a trained network on damaged dies, made better by equilibrium propagation on the die, and by what else could be
done. Scratch: a fresh network learns on the machine that will run it. Beta: how well a noisy die sees the gradient,
against the strength of the nudge. Writes a run folder: config.json, env.json, rows.jsonl (one row per machine or die),
report.md, a figure, and what was learnt. The last line of stdout is one JSON document, {"folder": ..., "rows": [...]},
on a terminal with --json.

A run that was killed goes on with --resume, and repeats no finished row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from bench.command_line import ConfigError, Group, flags_in, flat, parse
from bench.machines.backend import Backend, Settling
from bench.machines.crossbar import CrossbarBackend
from bench.machines.crossbar_chip import check_network
from bench.machines.registry import BACKENDS
from bench.machines.resistive import ResistiveBackend
from bench.options import (
    OF_PLACING,
    RunOptions,
    check_foreign,
    check_idle,
    check_run,
    conditions_of,
    fixed_part,
    idle_options,
    machine_groups,
    machines_of,
    model_sha256,
)
from bench.run_command import run_command
from bench.studies.defaults import STUCK
from bench.studies.options import (
    LearnOptions,
    check_dies,
    check_learners,
    check_learning,
    check_resistors,
    idle_of,
)
from models.command_line import before_work

if TYPE_CHECKING:
    from bench.records.learning_row import LearningRow
    from bench.studies.run import StudyRun

HELP = "Can the machine repair itself, or learn from nothing? Equilibrium propagation where the weights are."


@dataclass(frozen=True)
class LearnConfig:
    """One study, as the command line has it."""

    learning: LearnOptions
    run: RunOptions
    settling: Settling
    machines: dict[str, Backend]

    @property
    def name(self) -> str:
        """The study, which a run folder is named after."""
        return self.learning.study

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change when the run goes on."""
        learning = flat(self.learning)
        return {
            **fixed_part(self.run, self.settling, self.machines),
            **{("learn" if name == "study" else name): value for name, value in learning.items()},
            "model_sha256": model_sha256(self.run.model),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for options that cannot be used, 1 for a run that failed."""
    run_command(arguments, read, check, run, show, lambda row: row.to_json())


def show(rows: list[LearningRow], folder: Path) -> None:
    """Print the tables of a run for people."""
    from bench.reports.learning import print_tables

    print_tables(rows, folder)


def read(arguments: Sequence[str]) -> LearnConfig:
    """The command line as a configuration; studies of dies run on crossbars unless told otherwise."""
    groups = {
        "learning": Group(LearnOptions(tyro.MISSING), "learning"),
        "run": Group(RunOptions()),
        "settling": Group(Settling(), "machine"),
        **machine_groups(),
    }
    command = parse(groups, arguments, "python -m bench.learn", HELP)
    options: RunOptions = command.run
    if "--backend" not in flags_in(arguments) and command.learning.study != "scratch":
        options = replace(options, backend=("crossbar",))
    machines = machines_of(command)
    dies = machines["crossbar"]
    analog = machines["resistive"]
    assert isinstance(dies, CrossbarBackend)
    assert isinstance(analog, ResistiveBackend)
    if dies.device.measured is not None and command.learning.study == "scratch":
        raise ConfigError("--measured with the study scratch: the chip holds a network, which repair goes on from")
    if command.learning.study == "repair" and dies.device.measured is None:
        machines["crossbar"] = dies.damaged(STUCK)
    if command.learning.study != "scratch":
        machines["resistive"] = analog.damaged(STUCK if command.learning.study == "repair" else 0.0)
    if command.learning.study == "scratch":
        machines["crossbar"] = dies.fresh()
    return LearnConfig(command.learning, options, command.settling, machines)


def check(config: LearnConfig, arguments: Sequence[str] = ()) -> None:
    """Refuse what cannot be run, before models, data or machines are touched."""
    check_run(config.run, config.settling, config.machines)
    check_foreign(arguments, config.run.backend, config.machines)
    chosen = [config.machines[name] for name in config.run.backend]
    precisions = config.run.precision or [name for machine in chosen for name in machine.learns]
    idle = {**idle_options(chosen, precisions), **idle_of(config.learning, config.run.backend)}
    if not any(machine.torch_computes for machine in chosen):
        idle["--device"] = f"--backend {' or '.join(name for name, kind in BACKENDS.items() if kind.torch_computes)}"
    check_idle(arguments, {**idle, **OF_PLACING})
    try:
        check_learning(config.learning, config.run.backend)
        if config.learning.study == "scratch":
            check_learners(config.run.precision, [config.machines[name] for name in config.run.backend])
        if "crossbar" in config.run.backend:
            dies = config.machines["crossbar"]
            assert isinstance(dies, CrossbarBackend)
            check_dies(config.learning, dies)
            check_network(dies, config.run.model)
        if "resistive" in config.run.backend:
            analog = config.machines["resistive"]
            assert isinstance(analog, ResistiveBackend)
            check_resistors(config.learning, analog)
    except ConfigError:
        raise
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error


def prepare(config: LearnConfig, folder: Path) -> StudyRun:
    """Load what a study needs; what it learns is kept in the folder.

    Raises:
        ConfigError: model, data or an option do not fit each other.
    """
    from bench.records.answers import ANSWERS
    from bench.studies.run import StudyRun, check_study, material_of
    from models.data import load_data
    from models.zoo.manifests import check_same, trained_on

    options = config.run
    machines = {name: config.machines[name] for name in options.backend}
    if options.quick:
        machines = {name: machine.quick() for name, machine in machines.items()}
    with before_work():
        dataset = load_data(options.data or trained_on(options.model), options.data_dir)
        if options.data is None:
            check_same(options.model, dataset)
        options = replace(options, data=dataset.name)
        conditions = conditions_of(options, config.settling, dataset)
        check_study(options, config.learning, machines, conditions, dataset)
    material = material_of(options, dataset)
    return StudyRun(options, config.learning, machines, conditions, material, folder, folder / ANSWERS)


def run(config: LearnConfig, folder: Path) -> list[LearningRow]:
    """Make every row that the folder does not hold yet, then the report."""
    from bench.records.folders import begin, environment_of
    from bench.reports.learning import write_learning_report
    from bench.reports.learning_figures import draw_learning
    from bench.studies.run import finished_of, learn, tasks_of

    study = prepare(config, folder)
    tasks = tasks_of(study)
    done = finished_of(study, tasks)
    begin(folder, config.identity, config.run.device)
    rows = learn(study, tasks, done)
    write_learning_report(folder, rows, environment_of(folder))
    draw_learning(rows, folder / "learning.png")
    return rows


if __name__ == "__main__":
    main()
