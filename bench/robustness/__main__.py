"""`python -m bench.robustness --model NAME`: what is left of the answers when someone, or the weather, changes images?

Attacks a network by every gradient that it offers, by queries alone and by noise, shows it natural corruptions, shows
what was found to other networks and to machines, attacks a die with itself in the loop, and checks the attacks
themselves. Writes a run folder: config.json, env.json, rows.jsonl, checks.json, report.md, figures, and the attacked
images. The last line of stdout is one JSON document, {"folder": ..., "rows": [...]}, on a terminal with --json.

    python -m bench.robustness --model hw-cifar10-small --data-dir FOLDER --backend torch lava crossbar --suite quick

A run that was killed goes on with --resume: what is lost is a batch of one attack.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.command_line import ConfigError, Group, choose, parse
from bench.machines.backend import Settling
from bench.machines.registry import REFERENCE, row_keys
from bench.options import (
    OF_LEARNING,
    OF_PLACING,
    check_batch,
    check_foreign,
    check_idle,
    check_once,
    check_run,
    idle_options,
    machine_groups,
    machines_of,
    workload_of,
)
from bench.robustness.options import RobustConfig, RobustOptions
from bench.run_command import run_command
from models.command_line import before_work

if TYPE_CHECKING:
    from torch import Tensor

    from bench.records.robust_row import RobustRow
    from bench.robustness.loading import Loaded
    from bench.robustness.sanity import Check
    from bench.robustness.study import Study
    from bench.robustness.suites import Suite
    from models.data import Dataset

HELP = "What is left of the answers when images are attacked, or corrupted: on the network, and on machines."
CHECKS = "checks.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for options that cannot be used, 1 for a run that failed."""
    run_command(arguments, read, check, run, show, lambda row: row.contract())


def show(rows: list[RobustRow], folder: Path) -> None:
    """Print the table for people."""
    from bench.reports.robustness import print_table

    print_table(rows, folder)


def read(arguments: Sequence[str]) -> RobustConfig:
    """The command line as a configuration."""
    groups = {"run": Group(RobustOptions()), "settling": Group(Settling(), "machine"), **machine_groups()}
    command = parse(groups, arguments, "python -m bench.robustness", HELP)
    return RobustConfig(command.run, command.settling, machines_of(command))


def check(config: RobustConfig, arguments: Sequence[str] = ()) -> None:
    """Refuse what cannot be run, before models, data or machines are touched."""
    from bench.robustness.suites import SUITES

    options = config.run
    check_run(options, config.settling, config.machines)
    check_foreign(arguments, options.backend, config.machines)
    choose("--suite", options.suite, tuple(SUITES))
    check_once("--others", options.others)
    if options.corrupted is not None and options.corrupted < 1:
        raise ConfigError(f"--corrupted is {options.corrupted}, at least 1 image is needed")
    if options.looped is not None and options.looped < 0:
        raise ConfigError(f"--looped is {options.looped}, from 0 images")
    for name in options.others:
        if name not in options.known and not Path(name).is_file():
            raise ConfigError(f"--others {name!r} is neither a file nor one of {', '.join(options.known)}")
    keys = row_keys(options.backend, options.precision, config.machines)
    idle = idle_options(list(config.chosen.values()), [key.precision for key in keys])
    check_idle(arguments, {**idle, **OF_LEARNING, **OF_PLACING})
    if options.looped is not None and all(key == REFERENCE for key in keys):
        raise ConfigError("--looped changes nothing here: no machine runs (--backend)")
    usual = SUITES[options.suite].draws
    for backend in config.chosen.values():
        if 1 < backend.draws() < usual:
            raise ConfigError(
                f"--draws is {backend.draws()}: --suite {options.suite} asks a die {usual} times at least"
            )


def prepare(config: RobustConfig, folder: Path) -> Study:
    """Load what a study needs.

    Raises:
        ConfigError: model, data or an option do not fit each other.
    """
    from bench.networks import checkpoint_name
    from bench.robustness.loading import load_victim
    from bench.robustness.study import Study
    from bench.robustness.suites import radii_of
    from bench.robustness.trials import balanced
    from models.data import load_data
    from models.zoo.manifests import trained_on

    options, steps = config.run, config.settling.steps
    with before_work():
        dataset = load_data(options.data or trained_on(checkpoint_name(options.model)), options.data_dir)
        loaded = load_victim(options.model, dataset, steps, options.device, cut=options.cut)
        network = loaded.network
        suite = suite_of(options, dataset)
        count = suite.images
        chosen = balanced(dataset.test.labels, count, dataset.classes)
        others = {name: load_victim(name, dataset, steps, options.device).victim for name in options.others}
        keys = [key for key in row_keys(options.backend, options.precision, config.machines) if key != REFERENCE]
        if keys and network is None:
            raise ConfigError(f"--model {options.model}: a transformer, and machines hold chains of layers only")
        if network is not None:
            check_batch(options, config.settling, network, count, config.chosen.values())
            for machine in {key.backend: config.chosen[key.backend] for key in keys}.values():
                machine.check_network(network, config.settling, count)
    work = None
    if keys and network is not None:
        work = workload_of(options, config.settling, network, dataset, [key.precision for key in keys])
    return Study(
        options.model + (" (cut)" if options.cut else ""),
        dataset.name,
        loaded.victim,
        dataset,
        chosen,
        suite,
        radii_of(dataset.test.shape[0]),
        options.seed,
        options.device,
        others,
        tuple((config.chosen[key.backend], key) for key in keys),
        work,
        folder,
        _origin(loaded, dataset, chosen, steps),
    )


def suite_of(options: RobustOptions, dataset: Dataset) -> Suite:
    """The suite, with as many images as are asked for; where it wants more than there are, with as many as there are,
    of every class alike.

    Raises:
        ConfigError: more than there are, fewer than classes, or corruptions of images that have none.
    """
    from bench.robustness.study import corruptible
    from bench.robustness.suites import SUITES

    suite, test = SUITES[options.suite], dataset.test
    of_each = int(test.labels.bincount(minlength=dataset.classes).min())
    count = options.shown or min(suite.images, of_each * dataset.classes)
    if count < dataset.classes or count > len(test):
        raise ConfigError(f"--limit is {count}, from {dataset.classes} (classes) to {len(test)} test images")
    if options.corrupted is not None and not corruptible(test):
        raise ConfigError(f"--corrupted changes nothing here: {dataset.name} has no 8-bit images to corrupt")
    usual = min(suite.corrupted, max(count, 100)) if options.shown else suite.corrupted
    corrupted = min(usual, len(test)) if options.corrupted is None else options.corrupted
    if corrupted > len(test):
        raise ConfigError(f"--corrupted is {corrupted}, from 1 to {len(test)} test images")
    looped = suite.looped if options.looped is None else options.looped
    return replace(suite, images=count, corrupted=corrupted, looped=looped)


def run(config: RobustConfig, folder: Path) -> list[RobustRow]:
    """Make every row that the folder does not hold yet, then the checks and the report."""
    from bench.progress import Progress
    from bench.records.folders import ROWS, begin
    from bench.records.robust_row import RobustRow
    from bench.records.rows_file import append_row, finished_rows
    from bench.reports.robustness import write_report
    from bench.robustness.rows import every_row, expected_rows, worst_rows

    study = prepare(config, folder)

    def check_row(row: RobustRow) -> None:
        if row.model not in (study.model, *study.others) or row.seed != study.seed:
            raise ValueError(f"a row of {row.model}, seed {row.seed}: this run is of {study.model}, {study.seed}")

    file = folder / ROWS
    done = finished_rows(file, RobustRow.from_json, lambda row: row.key, check_row)
    begin(folder, config.identity, config.run.device)
    rows: list[RobustRow] = []
    with Progress("attacking", expected_rows(study)) as progress:
        for row in every_row(study, done, progress.note):
            _append(file, row, done, append_row)
            rows.append(done[row.key])
            progress.advance(row.attack)
            progress.finished(row.words)
        for row in worst_rows(study, rows):
            _append(file, row, done, append_row)
            rows.append(done[row.key])
        checks, reached = _checks(study, rows, folder, progress.note)
    write_report(folder, rows, checks, reached, study)
    return rows


def _append(file: Path, row: RobustRow, done: dict[str, RobustRow], append: Any) -> None:
    if row.key not in done:
        append(file, row.to_json())
        done[row.key] = type(row).from_json(json.loads(json.dumps(row.to_json())))


def _checks(study: Study, rows: list[RobustRow], folder: Path, announce: Any) -> tuple[list[Check], dict[str, float]]:
    """The checks and the reach of the network; kept, and read where they are kept."""
    import torch

    from bench.robustness.rows import checks_of_rows
    from bench.robustness.sanity import Check, every_check
    from bench.robustness.theory import reach
    from models.files.whole import write_atomically

    file = folder / CHECKS
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        return [Check(**entry) for entry in kept["checks"]], kept["reach"]
    few = study.target.part(torch.arange(min(study.suite.sane, len(study.chosen))))
    checks = checks_of_rows(study, rows)
    checks += every_check(study.victim, few, study.radii.middle(), study.suite.planted, study.seed, announce)
    reached = reach(study.victim, study.target.images, study.target.labels).median()
    content = {"checks": [asdict(entry) for entry in checks], "reach": reached}
    write_atomically(file, (json.dumps(content, indent=2) + "\n").encode())
    return checks, reached


def _origin(loaded: Loaded, dataset: Dataset, chosen: Tensor, steps: int) -> dict[str, Any]:
    from bench.robustness.kept import digest_of

    images, labels = dataset.test.batch(chosen)
    clean = digest_of(images.numpy(), labels.numpy())
    return {"network": loaded.digest, "clean": clean, "settles": loaded.victim.settles, "steps": steps}


if __name__ == "__main__":
    main()
