"""A measured chip in the place of simulated dies: what of the options it decides."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from bench.command_line import ConfigError
from bench.machines.crossbar import CrossbarBackend
from bench.machines.crossbar_options import CrossbarOptions


def of_chip(dies: CrossbarBackend) -> CrossbarBackend:
    """The options with device and tiles of the chip that --measured names, which is the only die.

    Raises `ConfigError` for a folder that is none, and for an option that says of the chip what it is not.
    """
    from mapping.measured.chip import load_chip

    folder = dies.device.measured
    if folder is None:
        return dies
    try:
        chip = load_chip(folder)
    except (ValueError, OSError) as error:
        raise ConfigError(f"--measured: {error}") from error
    layout = chip.layout
    device: dict[str, Any] = {
        "device_preset": (chip.device,),
        "dies": 1,
        "programming": "published",
        "stuck_on": 0.0,
        "stuck_off": 0.0,
    }
    tiles: dict[str, Any] = {
        "tile_size": (layout["tile_size"],),
        "encoding": layout["encoding"]["name"],
        "weight_bits": layout["weight_bits"],
        "cell_bits": layout["cell_bits"],
    }
    _check_silent(dies.device, device)
    _check_silent(dies.tiles, tiles)
    return replace(dies, device=replace(dies.device, **device), tiles=replace(dies.tiles, **tiles))


def check_network(dies: CrossbarOptions, model: str) -> None:
    """Refuse a network that is not the one on the measured chip; ValueError names both."""
    from mapping.measured.chip import load_chip
    from models.zoo.manifests import fingerprint

    if dies.device.measured is None:
        return
    chip = load_chip(dies.device.measured)
    if fingerprint(model) != chip.model_sha256:
        raise ValueError(
            f"--measured {str(chip.folder)!r} was programmed with {chip.model}, sha256 {chip.model_sha256[:12]}: give "
            f"that as --model, not {model}"
        )


def _check_silent(options: Any, decided: dict[str, Any]) -> None:
    """Refuse an option that was given and is not what the chip has."""
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in decided and value not in (field.default, decided[field.name]):
            flag = f"--{field.name.replace('_', '-')}"
            raise ConfigError(f"{flag} is {value}: the chip of --measured has {decided[field.name]}, leave it out")
