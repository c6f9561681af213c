"""The points of a grid: one run each, checked before any of them starts, and known by what determines its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from bench.command_line import ConfigError
from bench.records.rows_file import digest_of
from bench.sweeps.grid import Grid, arguments_of
from hw.crossbar.devices.device import UnpublishedError


@dataclass(frozen=True)
class Point:
    """A run of a sweep."""

    key: str
    """Digest of its options, the weights it runs, and the program: the same for the same rows."""
    command: str
    coordinates: dict[str, Any]
    """Values of the options that are varied."""
    config: Any
    """Its options, as the command reads them."""
    shared: str
    """Digest of what decides which images are attacked, and how: such points share them."""

    @property
    def words(self) -> str:
        """As people read it."""
        return ", ".join(f"{name} {_word(value)}" for name, value in self.coordinates.items())


def points_of(grid: Grid, unpublished: dict[str, str] | None = None) -> list[Point]:
    """Every combination, the last option of the grid fastest.

    Args:
        unpublished: gets, by name, why points are left out at which no source says how the device is; without it they
            are refused as all else that cannot be run.

    Raises:
        ConfigError: names the first point that cannot be run, and why.
    """
    command = grid.runs
    fixed = [*command.words, *arguments_of(grid.options)]
    # an option is parsed once for each of its values rather than at every point, which takes much longer
    base = _at("", lambda: command.read(fixed))
    changed = {}
    for name, held in grid.grid.items():
        for value in held:
            arguments = [*fixed, *arguments_of({name: value})]
            changed[name, json.dumps(value)] = _at(f"{name} {_word(value)}", partial(command.read, arguments))
    made: dict[str, Point] = {}
    for values in product(*grid.grid.values()):
        coordinates = dict(zip(grid.grid, values, strict=True))
        config = base
        for name, value in coordinates.items():
            config = _merged(config, base, changed[name, json.dumps(value)])
        words = ", ".join(f"{name} {_word(value)}" for name, value in coordinates.items())
        try:
            _at(words, partial(command.check, config, [*fixed, *arguments_of(coordinates)]))
        except ConfigError as error:
            if unpublished is None or not _is_unpublished(error):
                raise
            unpublished[words] = str(error)
            continue
        point = _point(grid.command, coordinates, config)
        if point.key in made:
            raise ConfigError(f"at {words}: the same run as at {made[point.key].words}")
        made[point.key] = point
    if not made:
        raise ConfigError(f"no point can be run: {next(iter((unpublished or {}).values()))}")
    return list(made.values())


def _is_unpublished(error: BaseException | None) -> bool:
    """Whether that is behind an error."""
    return error is not None and (isinstance(error, UnpublishedError) or _is_unpublished(error.__cause__))


def _point(command: str, coordinates: dict[str, Any], config: Any) -> Point:
    from bench.run import RunConfig, model_of
    from models.files.provenance import this_program
    from models.zoo.manifests import fingerprint

    model = model_of(config) if isinstance(config, RunConfig) else config.run.model
    made_of = {"command": command, "weights": fingerprint(model), "source": this_program().source}
    # the network that runs, not the one that was asked for: two names of one would be two rows of the same
    key = digest_of({**made_of, **config.identity, "model": model})
    shown = {name: value for name, value in config.identity.items() if name in SHOWN}
    return Point(key, command, coordinates, config, digest_of({**made_of, **shown}))


SHOWN = ("model", "data", "data_sha256", "limit", "quick", "seed", "device", "steps", "batch_size", "tolerance")
"""What decides the attacked images, beside their names and the weights."""


def _at(where: str, call: Callable[[], Any]) -> Any:
    """What it gives; its refusals say at which point, and the parser's own, which it prints itself, become one."""
    try:
        return call()
    except ConfigError as error:
        raise ConfigError(f"at {where}: {error}" if where else str(error)) from error
    except SystemExit as ended:
        raise ConfigError(f"at {where or 'options'}: not as the command line has it, see above") from ended


def _merged(config: Any, base: Any, changed: Any) -> Any:
    """`config` with every option in which `changed` differs from `base`."""
    if isinstance(base, Mapping):
        return {name: _merged(config[name], base[name], changed[name]) for name in base}
    if not is_dataclass(base) or type(base) is not type(changed):
        return config if changed == base else changed
    assert not isinstance(base, type)
    values = {
        field.name: _merged(getattr(config, field.name), getattr(base, field.name), getattr(changed, field.name))
        for field in fields(base)
        if field.init
    }
    return replace(config, **values)


def _word(value: Any) -> str:
    return " ".join(map(_word, value)) if isinstance(value, list) else str(value)
