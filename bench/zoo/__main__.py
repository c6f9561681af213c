"""`python -m bench.zoo`: which network of the zoo should I load?

Settles the clean test images on every network, in float and in integers that send only changes, and writes a run
folder: config.json, env.json, rows.jsonl (one row per network and number format, appended as it is finished),
report.md, and pictures of accuracy and synaptic operations against the number of steps and of the training of each
network. The last line of stdout is one JSON document, {"folder": ..., "rows": [...]}.

A run that was killed goes on with --resume, and so does one to which a network is to be added: no finished row is
repeated, unless its network was trained anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.command_line import ConfigError
from bench.records.folders import ROWS, begin, environment_of, open_folder
from bench.records.rows_file import append_row, finished_rows
from bench.records.zoo_row import ZooRow
from bench.run_command import STOPPED
from bench.zoo.cards import Setting, cards_of, make_row, steps_of
from bench.zoo.figures import draw_feedback, draw_steps, draw_training
from bench.zoo.report import HEADING, table_lines, write_zoo_report
from models.command_line import before_work, exit_code, fewer, refuse_empty
from models.data import check_data, data_sha256, load_data
from models.train.checks import check_device
from models.zoo import SUFFIX, zoo_names
from models.zoo.fit import check_fit
from models.zoo.manifests import check_same, checkpoint_of, fingerprint, manifest_of, trained_on


@dataclass(frozen=True)
class ZooConfig:
    """Accuracy, work and size of trained networks, against the number of steps they settle."""

    models: tuple[str, ...] = ()
    """Networks of the zoo, or checkpoint FILEs written by `python -m models.train`. Default: the whole zoo."""
    data: str | None = None
    """Data set: digits, mnist, cifar10, cifar100, or your own .npz file or folder of pictures. Default: the one each
    network was trained on."""
    data_dir: Path | None = None
    """Folder with the authors' files; without it they are downloaded and checked."""
    limit: int | None = None
    """Use the first so many test images (they are in a fixed random order). Default: all."""
    steps: int | None = None
    """Step limit T of the synchronous dynamics. Default: the one each network was evaluated with when it was made."""
    batch_size: int = 256
    """Images that settle together."""
    device: str = "cpu"
    """Where torch computes: cpu, cuda or cuda:N. Lava is simulated on the CPU."""
    output: Path | None = None
    """Run folder. Default: results/DATE-zoo."""
    resume: bool = False
    """Go on with the run in --output (default: the newest in results/), repeating no finished row."""

    @property
    def identity(self) -> dict[str, object]:
        """What must not change when a run goes on; networks may be added."""
        shown = {} if self.data is None else {"data": self.data, "data_sha256": data_sha256(self.data)}
        settings = {"limit": self.limit, "steps": self.steps, "batch_size": self.batch_size}
        return {"command": "bench.zoo", **settings, **shown}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for options that cannot be used, 1 for a run that failed, 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    config = tyro.cli(ZooConfig, args=arguments, prog="python -m bench.zoo", description=__doc__)

    def work() -> None:
        refuse_empty(arguments)
        check(config)
        with open_folder(config.output, config.resume, config.identity, "zoo") as folder:
            networks = run(config, folder)
        show(networks, folder)

    code = exit_code(work, batch=lambda: fewer("--batch-size", config.batch_size), stopped=lambda: STOPPED)
    if code:
        raise SystemExit(code)


def show(networks: dict[str, list[ZooRow]], folder: Path) -> None:
    """Print the table for people, and the last line."""
    table = Table("", *(Path(model).stem for model in networks), title="networks of the zoo", title_justify="left")
    for cells in list(zip(HEADING, *table_lines(networks), strict=True))[1:]:
        table.add_row(*cells)
    Console().print(table)
    print(f"report and figures: {folder}")
    rows = [row for of_network in networks.values() for row in of_network]
    contract = [{name: value for name, value in row.to_json().items() if name != "by_step"} for row in rows]
    print(json.dumps({"folder": str(folder), "rows": contract}))


def check(config: ZooConfig) -> None:
    """Refuse what cannot be run, before models, data or machines are touched."""
    for name in config.models:
        if name not in zoo_names() and not (Path(name).suffix == SUFFIX and Path(name).is_file()):
            raise ConfigError(f"--models {name!r} is neither a {SUFFIX} file nor in the zoo: {', '.join(zoo_names())}")
    if len(set(config.models)) < len(config.models):
        raise ConfigError(f"--models {list(config.models)}: name each network once")
    if config.data_dir is not None and not config.data_dir.is_dir():
        raise ConfigError(f"--data-dir {str(config.data_dir)!r} is not a folder")
    for option, value in (("--limit", config.limit), ("--steps", config.steps), ("--batch-size", config.batch_size)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} is {value}, must be at least 1")
    try:
        check_device(config.device)
        if config.data is not None:
            check_data(config.data, config.data_dir)
            for name in config.models or zoo_names():
                check_fit(name, config.data)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def run(config: ZooConfig, folder: Path) -> dict[str, list[ZooRow]]:
    """Make every row that the folder does not hold yet, then the report; returns the rows of every network."""
    setting = Setting(config.limit, config.steps, config.batch_size, config.device)
    with before_work():
        todo = [card for model in config.models or zoo_names() for card in cards_of(model)]
        for card in todo:
            steps_of(card.model, setting)
        shown = {card.model: config.data or trained_on(card.model) for card in todo}
        datasets = {name: load_data(name, config.data_dir) for name in set(shown.values())}
        if config.data is None:
            for model, name in shown.items():
                check_same(model, datasets[name])
    file = folder / ROWS
    done = finished_rows(file, ZooRow.from_json, lambda row: row.key, lambda _: None)
    begin(folder, config.identity, config.device)
    left = [card for card in todo if card.key not in done]
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task("", total=len(left))
        for card in left:
            row = make_row(
                card,
                datasets[shown[card.model]],
                setting,
                lambda what: progress.update(bar, description=what),
            )
            append_row(file, row.to_json())
            done[card.key] = ZooRow.from_json(json.loads(json.dumps(row.to_json())))
            progress.advance(bar)
    networks: dict[str, list[ZooRow]] = {}
    for row in sorted(done.values(), key=lambda row: (row.row.model, row.row.precision != "float")):
        if _is_current(row):
            networks.setdefault(row.row.model, []).append(row)
    manifests = {model: manifest_of(model) for model in networks}
    draw_steps(networks, folder / "steps.png")
    draw_training(manifests, folder / "training.png")
    draw_feedback(networks, manifests, folder / "feedback.png")
    write_zoo_report(folder, networks, manifests, environment_of(folder))
    return networks


def _is_current(row: ZooRow) -> bool:
    """Whether the network still is the one that the row is of."""
    model = row.row.model
    return checkpoint_of(model).is_file() and fingerprint(model) == row.sha256


if __name__ == "__main__":
    main()
