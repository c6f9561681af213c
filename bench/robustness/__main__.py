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
from bench.machines.backend import INTEGERS, Settling, Workload
from bench.machines.registry import REFERENCE, row_keys
from bench.options import (
    check_batch,
    check_fit,
    check_foreign,
    check_idle,
    check_once,
    check_run,
    conditions_of,
    idle_options,
    machine_groups,
    machines_of,
)
from bench.robustness.options import RobustConfig, RobustOptions
from bench.run_command import run_command
from models.command_line import before_work

if TYPE_CHECKING:
    from bench.records.robust_row import RobustRow
    from bench.robustness.sanity import Check
    from bench.robustness.study import Study
    from bench.robustness.victim import Victim

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
    from models.zoo import model_names

    options = config.run
    check_run(options, config.settling, config.machines)
    check_foreign(arguments, options.backend, config.machines)
    choose("--suite", options.suite, tuple(SUITES))
    check_once("--others", options.others)
    for name in options.others:
        if name not in model_names() and not Path(name).is_file():
            raise ConfigError(f"--others {name!r} is neither a file nor in the zoo: {', '.join(model_names())}")
    keys = row_keys(options.backend, options.precision, config.machines)
    check_idle(arguments, idle_options(list(config.chosen.values()), [key.precision for key in keys]))
    if options.cut and any(key != REFERENCE for key in keys):
        raise ConfigError("--cut with machines: they settle, and a network without feedback does not")


def prepare(config: RobustConfig, folder: Path) -> Study:
    """Load what a study needs.

    Raises:
        ConfigError: model, data or an option do not fit each other.
    """
    from bench.robustness.study import Study
    from bench.robustness.suites import SUITES, radii_of
    from bench.robustness.trials import balanced
    from models.data import load_data
    from models.zoo import load_model
    from models.zoo.manifests import trained_on

    options = config.run
    with before_work():
        network = load_model(options.model)
        data = options.data or trained_on(options.model)
        dataset = load_data(data, options.data_dir)
        check_fit(options.model, network, dataset)
        suite = SUITES[options.suite]
        count = options.shown or suite.images
        if count < dataset.classes or count > len(dataset.test):
            raise ConfigError(
                f"--limit is {count}, from {dataset.classes} (classes) to {len(dataset.test)} test images"
            )
        chosen = balanced(dataset.test.labels, count, dataset.classes)
        check_batch(options, config.settling, network, count)
        victim = _victim(config, options.model, cut=options.cut)
        others = {name: _victim(config, name, cut=False) for name in options.others}
        for name, other in others.items():
            check_fit(name, other.network, dataset)
        keys = [key for key in row_keys(options.backend, options.precision, config.machines) if key != REFERENCE]
        if keys and not victim.settles:
            raise ConfigError(f"--model {options.model}: a twin, which runs once upwards, and machines settle")
        keys = [key for key in keys if key.point == config.chosen[key.backend].main_point()]
        for name, machine in config.chosen.items():
            if name != REFERENCE.backend:
                machine.check_network(network, config.settling, count)
    work = None
    if keys:
        work = Workload(
            network, _program(config, victim, dataset, keys), conditions_of(options, config.settling, dataset)
        )
    return Study(
        options.model + (" (cut)" if options.cut else ""),
        dataset.name,
        victim,
        dataset,
        chosen,
        replace(
            suite, images=count, corrupted=min(suite.corrupted, max(count, 100) if options.shown else suite.corrupted)
        ),
        radii_of(dataset.test.shape[0]),
        options.seed,
        options.device,
        others,
        tuple((config.chosen[key.backend], key) for key in keys),
        work,
        folder,
        _origin(victim, dataset, chosen),
    )


def run(config: RobustConfig, folder: Path) -> list[RobustRow]:
    """Make every row that the folder does not hold yet, then the checks and the report."""
    from bench.progress import Progress
    from bench.records.folders import ROWS, begin
    from bench.records.robust_row import RobustRow
    from bench.records.rows_file import append_row, finished_rows
    from bench.reports.robustness import write_report
    from bench.robustness.study import every_row, expected_rows, worst_rows

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

    from bench.robustness.sanity import Check, every_check
    from bench.robustness.study import checks_of_rows
    from bench.robustness.theory import reach
    from models.files.tensorfile import write_atomically

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


def _victim(config: RobustConfig, model: str, *, cut: bool) -> Victim:
    from bench.robustness.victim import Victim
    from models.zoo import load_model
    from models.zoo.manifests import runs_upwards

    settles = not (cut or runs_upwards(model))
    network = load_model(model).map_parameters(lambda tensor: tensor.to(config.run.device))
    try:
        return Victim(network, settles, config.settling.steps)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _program(config: RobustConfig, victim: Victim, dataset: Any, keys: Sequence[Any]) -> Any:
    from bench.run import CALIBRATION_IMAGES
    from mapping.quantization import quantize

    if not any(key.precision in INTEGERS for key in keys):
        return None
    shown = dataset.train.at_most(CALIBRATION_IMAGES).floats()
    return quantize(victim.network, shown, state_bits=config.run.state_bits, steps=config.settling.steps)


def _origin(victim: Victim, dataset: Any, chosen: Any) -> dict[str, Any]:
    from bench.robustness.kept import digest_of

    weights = [tensor.detach().cpu().numpy() for tensor in victim.network.named_parameters().values()]
    images, labels = dataset.test.batch(chosen)
    return {
        "network": digest_of(*weights),
        "clean": digest_of(images.numpy(), labels.numpy()),
        "settles": victim.settles,
        "steps": victim.steps,
    }


if __name__ == "__main__":
    main()
