"""What one run is asked to do: the command line, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from bench.machines.crossbar import CrossbarOptions, check_options
from bench.machines.registry import BACKENDS
from bench.records.manifests import trained_with_noise
from bench.robustness.disturbances import DISTURBANCES
from bench.studies.options import LearnOptions, check_dies, check_learning, dies_of
from models.data import DATASETS
from models.train import checks as command
from models.zoo import zoo_names

QUICK_LIMIT = 32
NOISE_AWARE = "-noise-aware"
"""What the zoo appends to the name of a network that was trained with programming noise."""


@dataclass(frozen=True)
class RunConfig:
    """Settle a trained EP-CNN on one or more machines and report accuracy, robustness, energy and latency."""

    backend: tuple[str, ...] = ("torch",)
    """Machines to run on: torch, lava, crossbar. All have the torch float reference beside them."""
    model: str = "digits"
    """A network of the zoo, or a checkpoint FILE written by `python -m models.train`."""
    data: str | None = None
    """Data set: digits, mnist, cifar10, cifar100. Default: the one the model was trained on."""
    data_dir: Path | None = None
    """Folder with the authors' files; without it they are downloaded and checked."""
    disturbances: tuple[str, ...] = DISTURBANCES
    """Input noise and attacks that machines are shown beside the clean images. Attacks settle 20 times back and forth:
    without a name after it, this option leaves clean images alone."""
    limit: int | None = None
    """Use the first so many test images (they are in a fixed random order). Default: all."""
    batch_size: int = 256
    """Images that settle together."""
    seed: int = 0
    """Seed of the input noise, and of the dies of a crossbar."""
    device: str = "cpu"
    """Where torch computes: cpu, cuda or cuda:N. Lava and the dies of a crossbar are simulated on the CPU."""
    precision: tuple[str, ...] = ()
    """Number formats: float, fixed (integers), delta (integers, only changes are sent), analog (crossbar). Default: all
    a machine has."""
    steps: int = 40
    """Step limit T of the synchronous dynamics."""
    tolerance: float | None = None
    """Hold an image once no state moves by more than this in a step. Default: every image runs all steps."""
    state_bits: int = 8
    """Bits of a state in fixed and delta: 4 to 8."""
    delta_threshold: int = 1
    """Smallest change that delta sends, in codes; 1 is exact."""
    crossbar: Annotated[CrossbarOptions, tyro.conf.arg(name="")] = field(default_factory=CrossbarOptions)
    learning: Annotated[LearnOptions, tyro.conf.arg(name="")] = field(default_factory=LearnOptions)
    output: Path | None = None
    """Run folder. Default: results/DATE-MODEL."""
    resume: bool = False
    """Go on with the run in --output (default: the newest in results/), repeating no finished row."""
    quick: bool = False
    """A short run on 32 images, to see that everything works."""
    list: Annotated[bool, tyro.conf.arg(name="list")] = False
    """Print backends, precisions, models and data sets, and stop."""

    def fixed_part(self) -> dict[str, object]:
        """What must not change when a run is resumed. Where the files of the data lie may."""
        moving = ("output", "resume", "list", "data_dir", "crossbar", "learning")
        values = {name: value for name, value in vars(self).items() if name not in moving}
        if "crossbar" in self.backend:
            values |= vars(self.crossbar)
        if self.learning.learn is not None:
            values |= vars(self.learning)
            del values["disturbances"]  # no study shows them
        return {
            name: [*value] if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
            for name, value in values.items()
        }


class ConfigError(ValueError):
    """An option that cannot be used; says which, its value and the choices."""


def check(config: RunConfig) -> None:
    """Refuse what cannot be run, before models, data or machines are touched."""
    for name in config.backend:
        _choose("--backend", name, tuple(BACKENDS))
    known = tuple(dict.fromkeys(name for backend in BACKENDS.values() for name in backend.precisions))
    for name in config.precision:
        _choose("--precision", name, known)
        if not any(name in BACKENDS[backend].precisions for backend in config.backend):
            offered = "; ".join(f"{backend}: {', '.join(BACKENDS[backend].precisions)}" for backend in config.backend)
            raise ConfigError(f"--precision {name} runs on none of the chosen backends ({offered})")
    if config.model not in zoo_names() and not Path(config.model).is_file():
        raise ConfigError(f"--model {config.model!r} is neither a file nor in the zoo: {', '.join(zoo_names())}")
    for name in config.disturbances:
        _choose("--disturbances", name, DISTURBANCES)
    if config.data is not None:
        _choose("--data", config.data, DATASETS)
    if config.data_dir is not None and not config.data_dir.is_dir():
        raise ConfigError(f"--data-dir {str(config.data_dir)!r} is not a folder")
    for option, value, least in (
        ("--limit", config.limit, 1),
        ("--batch-size", config.batch_size, 1),
        ("--seed", config.seed, 0),
        ("--steps", config.steps, 1),
        ("--delta-threshold", config.delta_threshold, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{option} is {value}, must be at least {least}")
    if config.state_bits not in range(4, 9):
        raise ConfigError(f"--state-bits is {config.state_bits}, choices are 4, 5, 6, 7, 8")
    if config.delta_threshold > 2**config.state_bits - 1:
        raise ConfigError(f"--delta-threshold is {config.delta_threshold}, states end at {2**config.state_bits - 1}")
    if config.tolerance is not None and not 0 <= config.tolerance < 1:
        raise ConfigError(f"--tolerance is {config.tolerance}, must be in [0, 1): states lie in [0, 1]")
    check_device(config.device)
    try:
        check_learning(config.learning, config.backend)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if "crossbar" in config.backend:
        try:
            dies = dies_of(config.learning.learn, config.crossbar)
            check_options(dies)
            check_dies(config.learning, dies)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from error
        try:
            aware = f"{config.model}{NOISE_AWARE}" in zoo_names() or trained_with_noise(config.model)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if config.crossbar.noise_aware and not aware:
            raise ConfigError(
                f"--noise-aware: {config.model} was trained without noise and the zoo holds no "
                f"{config.model}{NOISE_AWARE}; train one with `python -m models.train --weight-noise` and give it as "
                "--model"
            )


def model_of(config: RunConfig) -> str:
    """The network that runs: on a crossbar, its twin that was trained with programming noise, if it is to be used.

    A network that was itself trained with noise has no twin and needs none.
    """
    twin = f"{config.model}{NOISE_AWARE}"
    wanted = config.crossbar.noise_aware
    if "crossbar" not in config.backend or wanted is False or twin not in zoo_names():
        return config.model
    return twin


def _choose(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{option} {value!r} is unknown, choices are {', '.join(choices)}")


def check_device(device: str) -> None:
    """Refuse a device that is not there."""
    try:
        command.check_device(device)
    except ValueError as error:
        raise ConfigError(str(error)) from None
