"""`python -m bench.robustness.transfer FOLDER... --data-dir FOLDER`: what was found on each network, shown to all.

Each folder holds a run of `bench.robustness` on the same images; a network that was attacked with its feedback cut is
one of its own. Per ball two tables, attacked networks in lines and those that are shown the images in columns: what is
answered right, and how often a wrong answer is the same one. The second says whether an attack changes what is seen
(the study's semantic perturbations): by chance it would be an eighth or so of ten classes. The last line is JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bench.command_line import ConfigError
from bench.machines.backend import Settling
from bench.options import machines_of
from bench.records.folders import CONFIG
from bench.reports.attacked_networks import Shown, draw_side_by_side, spread_over
from bench.reports.format import NOTHING, markdown
from bench.robustness.__main__ import prepare
from bench.robustness.attacks.pgd import PGD
from bench.robustness.ball import Ball
from bench.robustness.options import RobustConfig, RobustOptions
from bench.robustness.rows import same_wrong
from bench.robustness.study import Study, answered
from bench.robustness.trials import carry_out
from models.command_line import before_work, exit_code, refuse_empty
from models.files.typed import read_text
from models.files.whole import write_atomically

COLUMNS, FURTHER = 10, 4.0
"""Of the picture: images, and its radius over the middle one of the tables, so that people can see what was added."""


@dataclass(frozen=True)
class Transfers:
    """Of one ball: what images that were made on the network of a line do to that of a column."""

    norm: str
    eps: float
    models: tuple[str, ...]
    images: int
    accuracy: tuple[tuple[float, ...], ...]
    same_wrong: tuple[tuple[float | None, ...], ...]
    """Of the images that bring the network of the line down, the share that the other one answers by the same class."""

    def tables(self) -> list[str]:
        """Markdown."""
        heading = ["made on", *self.models]
        named = zip(self.models, self.accuracy, self.same_wrong, strict=True)
        lines = [([name, *map(_percent, right)], [name, *map(_percent, same)]) for name, right, same in named]
        words = f"{self.norm} {self.eps:.4g}, {self.images} images"
        return [
            f"{words}: right, %",
            "",
            *markdown(heading, [right for right, _ in lines]),
            "",
            f"{words}: the same wrong class, %",
            "",
            *markdown(heading, [same for _, same in lines]),
            "",
        ]


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f}"


def reopened(folder: Path, data_dir: Path | None) -> Study:
    """A finished run with its network, its images and what was found; ConfigError where the folder holds none."""
    try:
        config = json.loads(read_text(folder / CONFIG))
        names = ("model", "data", "limit", "seed", "suite", "cut")
        options = RobustOptions(**{name: config[name] for name in names}, data_dir=data_dir)
        settling = Settling(config["steps"], config["batch_size"], config["tolerance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} holds no run of bench.robustness: {error}") from error
    if not (folder / "trials").is_dir():
        raise ConfigError(f"{folder} holds no attacked images (trials/): run bench.robustness there")
    return prepare(RobustConfig(options, settling, machines_of(None)), folder)


def check_alike(studies: Sequence[Study]) -> None:
    """ConfigError where they were shown different images, or a network is named twice."""
    first = studies[0]
    for study in studies[1:]:
        if (study.data, study.chosen.tolist()) != (first.data, first.chosen.tolist()):
            raise ConfigError(f"{study.model} was attacked on other images than {first.model}")
    models = [study.model for study in studies]
    if len(set(models)) < len(models):
        raise ConfigError(f"a network is named twice: {', '.join(models)}")


def transfers(studies: Sequence[Study]) -> list[Transfers]:
    """One for every ball that they were attacked in to the end; of the same images."""
    first, models = studies[0], tuple(study.model for study in studies)
    found = []
    for place, trial in enumerate(first.strongest):
        right, same = [], []
        for study in studies:
            attacked = carry_out(study.plan, study.strongest[place], lambda _: None)
            answers = [answered(other.victim, attacked.images, study.target.labels).mean() for other in studies]
            right.append(tuple(map(float, answers)))
            same.append(tuple(same_wrong(study.victim, other.victim, attacked) for other in studies))
        found.append(Transfers(trial.norm, trial.eps, models, len(first.chosen), tuple(right), tuple(same)))
    return found


def draw(studies: Sequence[Study], file: Path) -> None:
    """Images that each network was brought down with at `FURTHER` times the middle radius, side by side."""
    first = studies[0]
    part = first.target.part(spread_over(first.target.labels, COLUMNS))
    ball = Ball("L2", FURTHER * first.radii.middle()[0].eps)
    shown = []
    for study in studies:
        target = study.victim.target(part.images, part.labels)
        slope = study.victim.gradient(study.victim.main, study.target.images, study.target.labels)
        found = PGD(ball, study.suite.pgd_steps, seed=study.seed).strongest(target, slope).images
        shown.append(Shown(study.model, found, tuple(study.victim.predict(found).argmax(dim=1).tolist())))
    title = f"{ball}: images attacked on each network, what was added below; ! marks a wrong answer"
    draw_side_by_side(part.images, part.labels.tolist(), shown, title, file)


@dataclass(frozen=True)
class Options:
    """The command line."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of bench.robustness, their attacked images in them."""
    data_dir: Path | None = None
    """Folder with the authors' files."""
    output: Path | None = None
    """JSON file to write."""
    picture: Path | None = None
    """PNG to draw: what an attack makes of the same images on each network."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for folders that hold no such run."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)

    def work() -> None:
        options = tyro.cli(Options, args=arguments, prog="bench.robustness.transfer", description=__doc__)
        refuse_empty(arguments)
        with before_work():
            if len(options.folders) < 2:
                raise ConfigError(f"{len(options.folders)} folders: name two or more runs of bench.robustness")
            studies = [reopened(folder, options.data_dir) for folder in options.folders]
            check_alike(studies)
        found = transfers(studies)
        for one in found:
            print("\n".join(one.tables()))
        document = json.dumps([asdict(one) for one in found])
        if options.output is not None:
            write_atomically(options.output, f"{document}\n".encode())
        if options.picture is not None:
            draw(studies, options.picture)
        print(document)

    if code := exit_code(work, batch=lambda: "fewer folders", stopped=lambda: "stopped"):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
