"""What every run is asked to do, whatever it does: the common part of the command lines, checked before work starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from bench.command_line import ConfigError, Group, choose, flags, flags_in, flat, option
from bench.machines.backend import INTEGERS, Backend, Conditions, Settling, Workload
from bench.machines.registry import BACKENDS

if TYPE_CHECKING:
    from models.data import Dataset
    from models.ep.network import EPNetwork

QUICK_LIMIT = 32
MOST_SEED = 2**32 - 1
CALIBRATION_IMAGES = 256
"""Training images by which a network is quantized."""
DIE_CALIBRATION_IMAGES = 64
"""Training images by which a machine sets itself."""
OF_LEARNING = {"--fresh-s": "bench.learn: what learns looks at an image more than once"}
"""Options of machines that change nothing where nothing learns, and what they would need."""
OF_PLACING = dict.fromkeys(("--chip", "--chips", "--tiles"), "bench.run: a study places nothing on a chip")
"""Options of machines that change nothing where something learns, and what they would need."""
MOVING = ("output", "resume", "list", "json", "version", "data_dir")
"""Options that may change when a run goes on: where files lie, and what is printed."""


@dataclass(frozen=True)
class RunOptions:
    """What is run on what, and where the results go."""

    backend: Annotated[tuple[str, ...], option("NAME..")] = ("torch",)
    """torch, lava, crossbar, brian; torch float is beside them."""
    precision: Annotated[tuple[str, ...], option("NAME..", "all it has")] = ()
    """float, fixed, delta, analog, rate, spikes, fire."""
    model: Annotated[str, option("NAME")] = "digits"
    """A network of the zoo, or a checkpoint FILE."""
    data: Annotated[str | None, option("NAME", "the model's")] = None
    """digits, mnist, cifar10, cifar100, an .npz or a folder."""
    data_dir: Annotated[Path | None, option("DIR", "downloaded")] = None
    """Folder with the authors' files."""
    limit: Annotated[int | None, option("N", "all")] = None
    """First so many test images, in a fixed random order."""
    state_bits: Annotated[int, option("N")] = 8
    """Bits of a state in fixed and delta: 4 to 8."""
    seed: Annotated[int, option("N")] = 0
    """Of input noise, and of dies."""
    device: Annotated[str, option("NAME")] = "cpu"
    """Where torch computes: cpu, cuda or cuda:N."""
    output: Annotated[Path | None, option("DIR", "results/DATE-MODEL")] = None
    """Run folder."""
    resume: Annotated[bool, option()] = False
    """Go on with the run in --output or the newest one."""
    quick: Annotated[bool, option()] = False
    """32 images, to see that everything works."""
    list: Annotated[bool, option()] = False
    """Print machines, models, data and presets, and stop."""
    json: Annotated[bool, option()] = False
    """Print the last line, JSON, on a terminal too."""
    version: Annotated[bool, option()] = False
    """Print the version, and stop."""

    @property
    def known(self) -> tuple[str, ...]:
        """Networks that --model knows by name."""
        from models.zoo import model_names

        return model_names()

    @property
    def shown(self) -> int | None:
        """Test images at most; None: all."""
        limits = [count for count in (self.limit, QUICK_LIMIT if self.quick else None) if count is not None]
        return min(limits, default=None)


def machine_groups() -> dict[str, Group]:
    """Every machine that has options, as a group of the command line."""
    return {name: Group(kind(), kind.panel) for name, kind in BACKENDS.items() if flags(kind())}


def machines_of(command: Any) -> dict[str, Backend]:
    """Every machine with the options of a command line, and what the files that they name decide."""
    return {name: (getattr(command, name, None) or kind()).resolved() for name, kind in BACKENDS.items()}


def check_run(options: RunOptions, settling: Settling, machines: Mapping[str, Backend]) -> None:
    """Refuse what cannot be run, before models, data or machines are touched."""
    for name in options.backend:
        choose("--backend", name, tuple(BACKENDS))
    chosen = [machines[name] for name in options.backend]
    if len(set(options.backend)) < len(options.backend) or not options.backend:
        raise ConfigError(
            f"--backend {list(options.backend)}: name each machine once, choices are {', '.join(BACKENDS)}"
        )
    _check_precisions(options.precision, chosen)
    _check_network_and_data(options)
    check_once("--precision", options.precision)
    for name, value, least in (("--limit", options.limit, 1), ("--seed", options.seed, 0)):
        if value is not None and value < least:
            raise ConfigError(f"{name} is {value}, must be at least {least}")
    if options.seed > MOST_SEED:
        raise ConfigError(f"--seed is {options.seed}, must be at most {MOST_SEED}")
    if options.state_bits not in range(4, 9):
        raise ConfigError(f"--state-bits is {options.state_bits}, choices are 4, 5, 6, 7, 8")
    try:
        settling.check()
        if options.device != "cpu":
            from models.train.checks import check_device

            check_device(options.device)
        for machine in chosen:
            machine.check(settling, options.state_bits)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error


def _check_precisions(precisions: Sequence[str], chosen: Sequence[Backend]) -> None:
    known = tuple(dict.fromkeys(name for kind in BACKENDS.values() for name in kind.precisions))
    for name in precisions:
        choose("--precision", name, known)
        if not any(name in machine.precisions for machine in chosen):
            offered = "; ".join(f"{machine.name}: {', '.join(machine.precisions)}" for machine in chosen)
            raise ConfigError(f"--precision {name} runs on none of the chosen backends ({offered})")


def _check_network_and_data(options: RunOptions) -> None:
    from models.data import check_data

    if options.model not in options.known and not Path(options.model).is_file():
        raise ConfigError(f"--model {options.model!r} is neither a file nor in the zoo: {', '.join(options.known)}")
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise ConfigError(f"--data-dir {str(options.data_dir)!r} is not a folder")
    if options.data is not None:
        try:
            check_data(options.data, options.data_dir)
        except ValueError as error:
            raise ConfigError(f"--data: {error}") from error


def check_foreign(arguments: Sequence[str], chosen: Sequence[str], machines: Mapping[str, Backend]) -> None:
    """Refuse an option of a machine that is not among those that run."""
    names = flags_in(arguments)
    for name, machine in machines.items():
        if name in chosen:
            continue
        for flag in flags(machine):
            if flag in names:
                raise ConfigError(f"{flag} is an option of {name}, which is not among --backend {' '.join(chosen)}")


def check_idle(arguments: Sequence[str], idle: Mapping[str, str]) -> None:
    """Refuse an option that changes nothing in this run; `idle` has what it would need, by flag."""
    for flag in flags_in(arguments):
        if flag in idle:
            raise ConfigError(f"{flag} changes nothing here: it needs {idle[flag]}")


def idle_options(chosen: Sequence[Backend], precisions: Sequence[str]) -> dict[str, str]:
    """Options that change nothing where these machines run in these precisions, and what they would need."""
    idle = {} if set(precisions) & set(INTEGERS) else {"--state-bits": f"--precision {' or '.join(INTEGERS)}"}
    for machine in chosen:
        idle |= machine.idle(precisions)
    return idle


def check_once(option_name: str, values: Sequence[object]) -> None:
    """Refuse a value that is given twice."""
    if len(set(values)) < len(values):
        raise ConfigError(f"{option_name} {list(values)}: give each value once")


def check_limit(options: RunOptions, dataset: Dataset) -> None:
    """Refuse more test images than there are."""
    if options.limit is not None and options.limit > len(dataset.test):
        raise ConfigError(f"--limit is {options.limit}, {dataset.name} has {len(dataset.test)} test images")


def check_batch(
    options: RunOptions, settling: Settling, network: EPNetwork, images: int, chosen: Iterable[Backend]
) -> None:
    """Refuse a batch that needs more memory than is free, and name the largest that fits; on a GPU all dies settle it
    at once."""
    from models.train.memory import TooLittleMemoryError, check_settling

    dies = 1 if options.device == "cpu" else max((one.machines() for one in chosen if one.torch_computes), default=1)
    try:
        check_settling(network, min(settling.batch_size, images) * dies, options.device)
    except TooLittleMemoryError as error:
        each = f" on each of {dies} dies" if dies > 1 else ""
        raise ConfigError(f"--batch-size {settling.batch_size}{each}: {error}") from error


def check_fit(model: str, network: EPNetwork, dataset: Dataset) -> None:
    """Refuse images that the network does not read, and classes that it does not tell apart."""
    from models.zoo.fit import check_form

    try:
        check_form(model, network, dataset.name, (dataset.test.shape, dataset.classes))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def conditions_of(options: RunOptions, settling: Settling, dataset: Dataset) -> Conditions:
    """What all machines of a run have in common."""
    calibration = dataset.train.at_most(DIE_CALIBRATION_IMAGES).floats().numpy()
    return Conditions(settling, calibration, options.seed, options.device)


def workload_of(
    options: RunOptions, settling: Settling, network: EPNetwork, dataset: Dataset, precisions: Iterable[str]
) -> Workload:
    """What machines of these precisions load: the network, and its program if one of them computes in integers."""
    conditions = conditions_of(options, settling, dataset)
    if not set(precisions) & set(INTEGERS):
        return Workload(network, None, conditions)
    from mapping.quantization import quantize

    shown = dataset.train.at_most(CALIBRATION_IMAGES).floats()
    program = quantize(network, shown, state_bits=options.state_bits, steps=settling.steps)
    return Workload(network, program, conditions)


def fixed_part(options: RunOptions, settling: Settling, machines: Mapping[str, Backend]) -> dict[str, Any]:
    """What must not change when a run goes on, by option."""
    from models.data import data_sha256

    values = {**flat(options), **flat(settling)}
    for name in options.backend:
        values |= flat(machines[name])
    files = {file: digest for name in options.backend for file, digest in machines[name].files().items()}
    kept = {name: value for name, value in values.items() if name not in MOVING}
    if options.data is not None and (digest := data_sha256(options.data)) is not None:
        kept["data_sha256"] = digest
    return {**kept, **({"device_sha256": files} if files else {})}


def model_sha256(model: str) -> str | None:
    """Of a checkpoint file; None for the zoo and its controls, which are part of the source and known by its commit."""
    from bench.networks import network_names
    from models.zoo.manifests import fingerprint

    return None if model in network_names() else fingerprint(model)
