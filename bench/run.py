"""`python -m bench.run --backend lava`: what would this network do on that hardware?

Settles the test images of a data set on every chosen machine, clean and disturbed, and writes a run folder:
config.json, env.json, rows.jsonl (one row per machine, appended as it is finished), summary.csv, report.md and figures.
The last line of stdout is one JSON document, {"folder": ..., "rows": [...]}.

A run that was killed goes on with `--resume`, and repeats no finished row.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import get_args

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.config import QUICK_LIMIT, ConfigError, RunConfig, check, model_of
from bench.evaluate import evaluate, unpublished
from bench.machines.crossbar import (
    DIE_CALIBRATION_IMAGES,
    EVERY,
    CrossbarWork,
    Point,
    points,
    published,
    reference_point,
)
from bench.machines.registry import BACKENDS, RowKey, Workload, jobs
from bench.records.folders import begin, open_folder
from bench.records.manifests import fingerprint, trained_on
from bench.records.rows import Row, append_row, read_rows
from bench.reports.figures import draw_energy, draw_settling
from bench.reports.learning import tables, write_learning_report
from bench.reports.learning_figures import draw_learning
from bench.reports.report import main_rows, screen_table, sweep_table, write_report, write_summary
from bench.reports.sweeps import draw_sweeps
from bench.robustness.disturbances import ATTACKS, DISTURBANCES, disturbed
from bench.studies.options import STUDIES, UPDATES, Nudging
from bench.studies.run import check_schedule, learn
from hw.crossbar.devices.presets import PRESETS
from hw.crossbar.tiles.wires import WIRES
from mapping.quantization import quantize
from models.data import DATASETS, load_data
from models.zoo import load_model, zoo_names

CALIBRATION_IMAGES = 256


def main() -> None:
    """Command line; exit code 2 for options that cannot be used, 1 for a run that failed."""
    config = tyro.cli(RunConfig, description=__doc__)
    try:
        check(config)
        if config.list:
            print(_listing())
            return
        folder = open_folder(config.output, config.resume, _identity(config), Path(config.model).stem)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if config.learning.learn is not None:
        _learning(config, folder)
        return
    try:
        rows = run(config, folder)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    console = Console()
    title = f"{rows[0]['model']}, {rows[0]['images']} images of {rows[0]['data']}"
    console.print(screen_table(rows, title))
    sweep = sweep_table(rows)
    if sweep is not None:
        console.print(sweep)
    console.print(f"report and figures: {folder}")
    print(json.dumps({"folder": str(folder), "rows": [_contract(row) for row in rows]}))


def _learning(config: RunConfig, folder: Path) -> None:
    """`--learn`: rows, report and tables on the screen."""
    console = Console()
    try:
        rows = run_learning(config, folder)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    for title, heading, lines in tables(rows):
        table = Table(*heading, title=title, title_justify="left")
        for line in lines:
            table.add_row(*line)
        console.print(table)
    console.print(f"report and figure: {folder}")
    print(json.dumps({"folder": str(folder), "rows": rows}))


def run_learning(config: RunConfig, folder: Path) -> list[Row]:
    """Make every row of a learning run that the folder does not hold yet, then the report."""
    check_schedule(config)
    dataset = load_data(config.data or trained_on(config.model), config.data_dir)
    begin(folder, _identity(config), config.device)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        rows = learn(config, dataset, folder, progress)
    write_learning_report(folder, rows, json.loads((folder / "env.json").read_text()))
    draw_learning(rows, folder / "learning.png")
    return rows


def run(config: RunConfig, folder: Path) -> list[Row]:
    """Make every row that the folder does not hold yet, then the report."""
    model = model_of(config)
    network = load_model(model)
    name = config.data or trained_on(model)
    dataset = load_data(name, config.data_dir)
    limit = min(config.limit or len(dataset.test), QUICK_LIMIT if config.quick else len(dataset.test))
    test = dataset.test.first(limit)
    images, labels = test.floats().numpy(), test.labels.numpy()
    grid = points(config.crossbar) if "crossbar" in config.backend else ()
    todo = jobs(config.backend, config.precision, grid)
    integers = any(job.precision in ("fixed", "delta") for job in todo)
    program = (
        quantize(
            network,
            dataset.train.first(CALIBRATION_IMAGES).floats(),
            state_bits=config.state_bits,
            steps=config.steps,
        )
        if integers
        else None
    )
    dies = CrossbarWork(config.crossbar, config.seed, dataset.train.first(DIE_CALIBRATION_IMAGES).floats().numpy())
    work = Workload(
        network, program, config.steps, config.batch_size, config.tolerance, config.delta_threshold, config.device, dies
    )
    begin(folder, _identity(config), config.device)
    file = folder / "rows.jsonl"
    done = {_job(row).key: row for row in read_rows(file)}
    # a sweep is disturbed at one point only: attacks are the dear part of a run
    disturbed_point = reference_point(config.crossbar) if grid else None
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        left = [job for job in todo if job.key not in done]
        effort = sum(_effort(job, config, disturbed_point) for job in left)
        bar = progress.add_task("", total=len(ATTACKS) + effort)

        def advance(what: str) -> None:
            progress.update(bar, description=what, advance=1)

        shown = {}
        if any(job.point in (None, disturbed_point) for job in left):
            shown = dict(
                disturbed(
                    network,
                    images,
                    labels,
                    config.disturbances,
                    steps=config.steps,
                    batch_size=config.batch_size,
                    seed=config.seed,
                    device=config.device,
                    folder=folder,
                    announce=advance,
                )
            )
        for job in left:
            if job.point is not None and not published(job.point, config.crossbar):
                row = unpublished(job)
            else:
                here = shown if job.point in (None, disturbed_point) else {}
                row = evaluate(job, work, images, labels, here, advance)
            row |= {"model": model, "data": name, "seed": config.seed}
            append_row(file, row)
            done[job.key] = row
    rows = [done[job.key] for job in todo]
    _write_all(folder, rows)
    return rows


def _job(row: Row) -> RowKey:
    """The job that a row of the file answers."""
    point = row.get("point")
    return RowKey(row["backend"], row["precision"], None if point is None else Point(**point))


def _effort(job: RowKey, config: RunConfig, disturbed_point: Point | None) -> int:
    """Settles of all images that a row takes."""
    machines = 1 if job.point is None else config.crossbar.dies
    return machines * (1 + (len(config.disturbances) if job.point in (None, disturbed_point) else 0))


def _identity(config: RunConfig) -> dict[str, object]:
    devices = config.crossbar.device_preset if "crossbar" in config.backend else ()
    files = {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in devices if Path(name).is_file()}
    return {
        **config.fixed_part(),
        # the zoo is part of the source and known by its commit
        "model_sha256": None if config.model in zoo_names() else fingerprint(config.model),
        **({"device_sha256": files} if files else {}),
    }


def _write_all(folder: Path, rows: list[Row]) -> None:
    draw_settling(main_rows(rows), folder / "settling.png")
    draw_energy(main_rows(rows), folder / "energy.png")
    sweeps = draw_sweeps(rows, folder)
    write_summary(folder, rows)
    config, environment = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "env"))
    write_report(folder, rows, config, environment, sweeps)


def _contract(row: Row) -> Row:
    """The row as it stands on the last line: without the curves, which rows.jsonl holds."""
    return {name: value for name, value in row.items() if name != "by_step"}


def _listing() -> str:
    lines = [f"backend {name}: precision {', '.join(backend.precisions)}" for name, backend in BACKENDS.items()]
    lines += [f"device-preset {', '.join(PRESETS)}, {EVERY}, or a FILE", f"wires {', '.join(WIRES)}"]
    lines += [f"model {', '.join(zoo_names())} or a FILE", f"data {', '.join(DATASETS)}"]
    lines += [f"disturbances {', '.join(DISTURBANCES)}"]
    lines += [f"learn {', '.join(STUDIES)}: update {', '.join(UPDATES)}; estimator {', '.join(get_args(Nudging))}"]
    document = {
        "backends": {name: list(backend.precisions) for name, backend in BACKENDS.items()},
        "device_presets": list(PRESETS),
        "wires": list(WIRES),
        "models": list(zoo_names()),
        "data": list(DATASETS),
        "disturbances": list(DISTURBANCES),
        "studies": list(STUDIES),
        "updates": list(UPDATES),
        "estimators": list(get_args(Nudging)),
    }
    return "\n".join([*lines, json.dumps(document)])


if __name__ == "__main__":
    main()
