"""What a comparison is asked to do, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from bench.command_line import ConfigError, choose, flat, option
from bench.machines.backend import Backend, Settling
from bench.machines.registry import BACKENDS
from bench.options import MOST_SEED, check_once, model_sha256
from hw.cost.constants.own import read_own
from hw.meters.window import SHORTEST_S

TWINS = {
    "digits": "digits-twin-0",
    "mnist": "mnist-twin-0",
    "hw-cifar10-small": "hw-cifar10-short-twin-smooth-0",
    "hw-cifar10-short-0": "hw-cifar10-short-twin-smooth-0",
}
"""Feed-forward twins that come along, by the network that they are compared with: trained with noise on their weights
where the network was."""
NO_TWIN = "none"
QUICK = 16


@dataclass(frozen=True)
class CompareOptions:
    """What is compared, and where the results go."""

    model: Annotated[str, option("NAME")] = "digits"
    """A network of the zoo, a control, or a checkpoint FILE."""
    backends: Annotated[tuple[str, ...], option("NAME..")] = ("torch", "lava", "crossbar", "resistive")
    """torch, lava, crossbar, brian, resistive."""
    twin: Annotated[str | None, option("NAME", "the one that comes along")] = None
    """Feed-forward twin: a control or FILE; none: without."""
    data_dir: Annotated[Path | None, option("DIR", "downloaded")] = None
    """Folder with the authors' files."""
    limit: Annotated[int, option("N")] = 100
    """Test images, each settled alone."""
    validation: Annotated[int, option("N")] = 200
    """Validation images that thresholds are chosen on."""
    loss: Annotated[float, option("X")] = 0.005
    """Accuracy that stopping early may cost there."""
    steps: Annotated[int, option("T")] = 40
    """Step limit of the synchronous dynamics."""
    state_bits: Annotated[int, option("N")] = 8
    """Bits of a state of integers: 4 to 8."""
    seed: Annotated[int, option("N")] = 0
    """Of dies."""
    device: Annotated[str, option("NAME")] = "cpu"
    """Where torch computes, and is measured: cpu, cuda or cuda:N."""
    batches: Annotated[tuple[int, ...], option("N..")] = (1, 16, 256)
    """Images at once that are measured; none: nothing is."""
    constants: Annotated[tuple[Path, ...], option("FILE..", "published")] = ()
    """TOML of your own constants, priced and drawn too."""
    window_s: Annotated[float, option("S")] = SHORTEST_S
    """Least length of a window of measuring."""
    repeats: Annotated[int, option("N")] = 3
    """Windows of each."""
    output: Annotated[Path | None, option("DIR", "results/DATE-compare-MODEL")] = None
    """Run folder."""
    quick: Annotated[bool, option()] = False
    """16 images, to see that everything works."""
    json: Annotated[bool, option()] = False
    """Print the last line, JSON, on a terminal too."""

    @property
    def settling(self) -> Settling:
        """How networks settle."""
        return Settling(steps=self.steps)

    @property
    def twin_name(self) -> str | None:
        """The twin that is compared with, if there is one."""
        if self.twin is None:
            return TWINS.get(self.model)
        return None if self.twin == NO_TWIN else self.twin

    def at_most(self, images: int) -> int:
        """As many images, or a few."""
        return min(images, QUICK) if self.quick else images


def check_options(options: CompareOptions, machines: Mapping[str, Backend]) -> None:
    """ConfigError names the option that cannot be used, its value and the choices."""
    from bench.networks import network_names
    from hw.meters import Plan

    for name in options.backends:
        choose("--backends", name, tuple(BACKENDS))
    if not options.backends:
        raise ConfigError(f"--backends is empty, choices are {', '.join(BACKENDS)}")
    for flag, values in (("--backends", options.backends), ("--batches", options.batches)):
        check_once(flag, values)
    for flag, model in (("--model", options.model), ("--twin", options.twin_name)):
        if model is not None and not Path(model).is_file():
            choose(flag, model, (*network_names(), *((NO_TWIN,) if flag == "--twin" else ())))
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise ConfigError(f"--data-dir {str(options.data_dir)!r} is not a folder")
    counts = {
        "--limit": options.limit,
        "--validation": options.validation,
        **{"--batches": min(options.batches, default=1)},
    }
    for flag, count in counts.items():
        if count < 1:
            raise ConfigError(f"{flag} is {count}, must be at least 1")
    if not 0 <= options.loss < 1:
        raise ConfigError(f"--loss is {options.loss}, must be a share of at least 0 and below 1")
    if not 0 <= options.seed <= MOST_SEED:
        raise ConfigError(f"--seed is {options.seed}, must be 0 to {MOST_SEED}")
    if options.state_bits not in range(4, 9):
        raise ConfigError(f"--state-bits is {options.state_bits}, choices are 4, 5, 6, 7, 8")
    try:
        read_own(options.constants)
        options.settling.check()
        Plan(options.window_s, options.repeats)
        if options.device != "cpu":
            from models.train.checks import check_device

            check_device(options.device)
        for name in options.backends:
            machines[name].check(options.settling, options.state_bits)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error).replace("window_s", "--window-s").replace("repeats", "--repeats")) from error


def identity_of(options: CompareOptions, machines: Mapping[str, Backend], arguments: Sequence[str]) -> dict[str, Any]:
    """What was run, and the command as it was typed, without where files lie."""
    kept = {name: value for name, value in flat(options).items() if name not in ("output", "json", "data_dir")}
    for name in options.backends:
        kept |= flat(machines[name])
    kept["constants"] = [sha256(file.read_bytes()).hexdigest() for file in options.constants]
    return {"command": command_of(arguments), **kept, "model_sha256": model_sha256(options.model)}


PLACES = ("--output", "--data-dir", "--constants")
"""Options that name places of the computer."""


def command_of(arguments: Sequence[str]) -> str:
    """The command; folders by their last name where they lie elsewhere than here."""
    words, after = [], ""
    for word in arguments:
        place = Path(word)
        after = word if word.startswith("--") else after
        words.append(place.name if after in PLACES and place.is_absolute() else word)
    return " ".join(["python -m bench.compare", *words])
