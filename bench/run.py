"""`python -m bench.run --backend lava`: what would this network do on that hardware?

Settles the test images of a data set on every chosen machine, clean and disturbed, and writes a run folder:
config.json, env.json, rows.jsonl (one row per machine, appended as it is finished), summary.csv, report.md and figures.
The last line of stdout is one JSON document, {"folder": ..., "rows": [...]}, on a terminal with --json.

A run that was killed goes on with --resume, and repeats no finished row.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from bench.command_line import ConfigError, Group, choose, option, parse
from bench.machines.backend import Backend, RowKey, Settling, Workload
from bench.machines.registry import REFERENCE, row_keys
from bench.options import (
    OF_LEARNING,
    RunOptions,
    check_batch,
    check_fit,
    check_foreign,
    check_idle,
    check_limit,
    check_once,
    check_run,
    fixed_part,
    idle_options,
    machine_groups,
    machines_of,
    model_sha256,
    workload_of,
)
from bench.robustness.names import ALL, DISTURBANCES, EPSILONS, chosen_disturbances
from bench.run_command import run_command
from hw.cost.constants.own import read_own
from models.command_line import before_work

if TYPE_CHECKING:
    from bench.evaluate import Origin, Shown
    from bench.records.answers import Answers
    from bench.records.row import Row
    from models.data import Dataset

HELP = "What would this network do on that hardware? Accuracy, robustness, energy and latency."


@dataclass(frozen=True)
class MainOptions(RunOptions):
    """The main job's own beside what all runs have."""

    disturbances: Annotated[tuple[str, ...], option("NAME..")] = (ALL,)
    """Noise and attacks (--list); without a name: clean images only."""
    constants: Annotated[tuple[Path, ...], option("FILE..", "published")] = ()
    """TOML of your own constants, priced too."""

    @property
    def known(self) -> tuple[str, ...]:
        """The zoo, and the controls beside it."""
        from bench.networks import network_names

        return network_names()


@dataclass(frozen=True)
class RunConfig:
    """One run, as the command line has it."""

    run: MainOptions = field(default_factory=MainOptions)
    settling: Settling = field(default_factory=Settling)
    machines: dict[str, Backend] = field(default_factory=lambda: machines_of(None))

    @property
    def chosen(self) -> dict[str, Backend]:
        """The machines that run."""
        return {name: self.machines[name] for name in self.run.backend}

    @property
    def name(self) -> str:
        """The network, which a run folder is named after."""
        return Path(self.run.model).stem

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change when the run goes on."""
        fixed = fixed_part(self.run, self.settling, self.machines)
        if self.run.constants:
            digests = [sha256(file.read_bytes()).hexdigest() for file in self.run.constants]
            fixed = {**fixed, "constants_sha256": digests}
        return {**fixed, "model_sha256": model_sha256(self.run.model)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for options that cannot be used, 1 for a run that failed."""
    run_command(arguments, read, check, run, show, lambda row: row.contract())


def show(rows: list[Row], folder: Path) -> None:
    """Print the tables of a run for people."""
    from bench.reports.screen import print_run

    print_run(rows, folder)


def read(arguments: Sequence[str]) -> RunConfig:
    """The command line as a configuration."""
    groups = {"run": Group(MainOptions()), "settling": Group(Settling(), "machine"), **machine_groups()}
    command = parse(groups, arguments, "python -m bench.run", HELP)
    return RunConfig(command.run, command.settling, machines_of(command))


def check(config: RunConfig, arguments: Sequence[str] = ()) -> None:
    """Refuse what cannot be run, before models, data or machines are touched."""
    check_run(config.run, config.settling, config.machines)
    check_foreign(arguments, config.run.backend, config.machines)
    keys = row_keys(config.run.backend, config.run.precision, config.machines)
    idle = idle_options(list(config.chosen.values()), [key.precision for key in keys])
    check_idle(arguments, {**idle, **OF_LEARNING})
    check_once("--disturbances", config.run.disturbances)
    for name in config.run.disturbances:
        choose("--disturbances", name, (ALL, *DISTURBANCES))
    if ALL in config.run.disturbances and len(config.run.disturbances) > 1:
        raise ConfigError(f"--disturbances {list(config.run.disturbances)}: {ALL} stands alone")
    try:
        read_own(config.run.constants)
        model_of(config)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def model_of(config: RunConfig) -> str:
    """The network that runs: machines may ask for another one, such as one trained with noise."""
    model = config.run.model
    for machine in config.chosen.values():
        model = machine.model(model)
    return model


@dataclass(frozen=True)
class Prepared:
    """A run with everything that it needs, loaded and checked."""

    config: RunConfig
    keys: tuple[RowKey, ...]
    """Of its rows."""
    work: Workload
    dataset: Dataset
    origin: Origin
    images: int
    """Test images that are shown."""


def prepare(config: RunConfig) -> Prepared:
    """Load what a run needs.

    Raises:
        ConfigError: model, data or an option do not fit each other.
    """
    from bench.evaluate import Origin
    from bench.networks import checkpoint_name
    from models.controls import load_for_machines
    from models.data import load_data
    from models.zoo.manifests import check_same, trained_on

    with before_work():
        model = model_of(config)
        network = load_for_machines(model)
        origin = Origin(model, config.run.data or trained_on(checkpoint_name(model)), config.run.seed)
        dataset = load_data(origin.data, config.run.data_dir)
        if config.run.data is None:
            check_same(checkpoint_name(model), dataset)
        check_limit(config.run, dataset)
        check_fit(config.run.model, network, dataset)
        keys = row_keys(config.run.backend, config.run.precision, config.machines)
        images = min(config.run.shown or len(dataset.test), len(dataset.test))
        check_batch(config.run, config.settling, network, images, config.chosen.values())
        notes = [machine.check_network(network, config.settling, images) for machine in config.chosen.values()]
    for note in (*notes, *(machine.warning(network) for machine in config.chosen.values())):
        if note is not None:
            print(f"note: {note}", file=sys.stderr)
    work = workload_of(config.run, config.settling, network, dataset, [key.precision for key in keys])
    work = replace(work, conditions=replace(work.conditions, own=read_own(config.run.constants)))
    return Prepared(config, keys, work, dataset, origin, images)


def run(config: RunConfig, folder: Path) -> list[Row]:
    """Make every row that the folder does not hold yet, then the report."""
    from bench.records.answers import ANSWERS, read_answers
    from bench.records.folders import ROWS, begin
    from bench.records.row import Row
    from bench.records.rows_file import append_row, finished_rows
    from bench.reports.run_report import write_all

    prepared = prepare(config)
    origin, keys = prepared.origin, prepared.keys

    def check_row(row: Row) -> None:
        if (row.model, row.data, row.seed) != (origin.model, origin.data, origin.seed):
            raise ValueError(f"a row of {row.model} on {row.data}, seed {row.seed}, this run is of {origin.model}")
        if row.images not in (prepared.images, None) or row.key.key not in {key.key for key in keys}:
            raise ValueError(f"a row of {row.key.key}, {row.images} images: not one of this run")

    file = folder / ROWS
    done = finished_rows(file, Row.from_json, lambda row: row.key.key, check_row)
    begin(folder, config.identity, config.run.device)
    kept = {key: read_answers(folder / ANSWERS, row.answers) for key, row in done.items() if row.answers}
    left, reference = [key for key in keys if key.key not in done], kept.get(REFERENCE.key)
    for key, row in rows_of(prepared, left, Places(folder, folder / ANSWERS), reference):
        append_row(file, row.to_json())
        done[key.key] = Row.from_json(json.loads(json.dumps(row.to_json())))
    rows = [done[key.key] for key in keys]
    write_all(folder, rows, config.settling.steps)
    return rows


@dataclass(frozen=True)
class Places:
    """Folders of a run."""

    attacks: Path
    """For attacked images."""
    answers: Path
    """For what is answered to every image."""


def rows_of(
    prepared: Prepared, left: Sequence[RowKey], places: Places, reference: Answers | None = None
) -> Iterator[tuple[RowKey, Row]]:
    """(key, row) as they are finished; attacked images and answers are kept, `reference` are those of torch float, if
    its row is not among those left.

    A sweep is disturbed at its main point only: attacks take most of a run.
    """
    from bench.evaluate import Shown, evaluate, unpublished
    from bench.progress import Progress

    config, work, dataset, origin = prepared.config, prepared.work, prepared.dataset, prepared.origin
    mains = {name: machine.main_point() for name, machine in config.chosen.items()}

    def is_main(key: RowKey) -> bool:
        return key.point == mains.get(key.backend)

    test = dataset.test.at_most(config.run.shown or len(dataset.test))
    images, labels = test.floats().numpy(), test.labels.numpy()
    names = chosen_disturbances(config.run.disturbances, images.shape[1])
    settles = [config.machines[key.backend].machines() * (1 + len(names) * is_main(key)) for key in left]
    with Progress("settling", len(EPSILONS.keys() & set(names)) + sum(settles)) as progress:
        clean = Shown(images, labels, {})
        shown = _disturbed(names, clean, work, places.attacks, progress.advance) if any(map(is_main, left)) else clean
        for key in left:
            machine = config.machines[key.backend]
            if not machine.published(key.point):
                row = unpublished(key, origin)
            else:
                images_of = shown if is_main(key) else clean
                row, answers = evaluate(machine, key, work, images_of, origin, progress.advance, progress.note)
                row = replace(row, answers=answers.keep(places.answers), against_float=_against(answers, reference))
                reference = answers if key == REFERENCE else reference
            progress.finished(f"{key.backend} {key.precision}")
            yield key, row


def _against(answers: Answers, reference: Answers | None) -> dict[str, Any] | None:
    """How much better than torch float a machine is on the same clean images; None without a reference."""
    from bench.records.statistics import difference

    if reference is None:
        return None
    change, interval = difference(answers.right(), reference.right())
    return {"difference": change, "ci95": [*interval]}


def _disturbed(
    names: Sequence[str], clean: Shown, work: Workload, folder: Path, announce: Callable[[str], None]
) -> Shown:
    from bench.evaluate import Shown
    from bench.robustness.disturbances import disturbed

    made = disturbed(work.network, clean.images, clean.labels, names, work.conditions, folder, announce)
    return Shown(clean.images, clean.labels, dict(made))


if __name__ == "__main__":
    main()
