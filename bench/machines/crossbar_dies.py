"""Dies of a sweep: the points of its grid, and what device, tiles and chip each point means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.machines.backend import Conditions
from bench.machines.crossbar_options import DEFAULT_DEVICE, EVERY, CrossbarOptions
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.device_array import program
from hw.crossbar.devices.device_file import load_device
from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.write_verify import WriteVerify
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.machine import REWRITING, Crossbar
from hw.crossbar.remedies import Remedies
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.wires import preset_wires
from hw.crossbar.updates.update import Update
from mapping.machines import to_crossbar, to_digital
from mapping.measured.chip import load_chip, put_on
from mapping.program import Program
from models.ep.network import EPNetwork

HOUR_S = 3600.0
DIES_PER_SEED = 1000
"""Runs with other seeds meet other dies."""


@dataclass(frozen=True)
class Point:
    """One point of a sweep."""

    device: str
    noise_scale: float
    hours: float
    adc_bits: int | None
    tile_size: int


LEAST_TILE = 8
"""Weights in a row: smaller tiles have more converters than devices to share them, and a die of them takes minutes."""
AXES = ("device", "noise_scale", "hours", "adc_bits", "tile_size")


def points(options: CrossbarOptions) -> tuple[Point, ...]:
    """The grid of a sweep."""
    device = options.device
    names = tuple(PRESETS) if device.device_preset == (EVERY,) else tuple(named_devices(options))
    return tuple(
        Point(name, scale, hours, bits, size)
        for name in names
        for size in options.tiles.tile_size
        for bits in options.tiles.adc_bits
        for hours in device.ages_h
        for scale in device.noise_scale
    )


def reference_point(options: CrossbarOptions) -> Point:
    """The point that is disturbed and drawn against the steps: noise as published and the default device, if they are
    among those asked for, and the first of everything else."""
    return min(points(options), key=strangeness)


def strangeness(point: Point) -> tuple[bool, bool]:
    """Sorts the points that say most about the default device first."""
    return point.noise_scale != 1.0, point.device != DEFAULT_DEVICE


def check_options(options: CrossbarOptions) -> None:
    """Refuse what no die can be made of; ValueError names the option, the value and the choices."""
    device, tiles = options.device, options.tiles
    if device.device_preset == (EVERY,) and (device.programming != "published" or device.kelvin is not None):
        raise ValueError(
            f"--device-preset {EVERY} holds devices without --programming write-verify and --kelvin: name some"
        )
    if EVERY in device.device_preset and len(device.device_preset) > 1:
        raise ValueError(f"--device-preset {EVERY} stands for every preset: name no other beside it")
    swept: dict[str, tuple[object, ...]] = {
        "--device-preset": device.device_preset,
        "--noise-scale": device.noise_scale,
        "--hours": device.ages_h,
        "--adc-bits": tiles.adc_bits,
        "--tile-size": tiles.tile_size,
    }
    for option, values in swept.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{option} {list(values)} must be values, each of them once")
    for option, value in (("--dies", device.dies), ("--draws", device.draws)):
        if not 1 <= value <= DIES_PER_SEED:
            raise ValueError(f"{option} is {value}, must be 1 to {DIES_PER_SEED}")
    remedies_of(options)
    if options.remedies.offset_correction and tiles.neurons == "analog":
        raise ValueError("--offset-correction needs --neurons digital: analog ones convert no drive to be seen")
    for point in points(options):
        _check_point(point, options)


def _check_point(point: Point, options: CrossbarOptions) -> None:
    device, design = device_of(point, options), design_of(point, options)
    if not 0 <= point.hours < np.inf:
        raise ValueError(f"--hours is {point.hours}, must be a number from 0")
    if options.device.device_preset == (EVERY,):
        return
    device.check_time(point.hours * HOUR_S)
    if options.device.programming == "write-verify":
        WriteVerify(options.device.verify_tolerance).check(device)
    if options.device.kelvin is not None:
        try:
            device.check_kelvin(options.device.kelvin)
            design.wires.at_kelvin(options.device.kelvin)
        except ValueError as error:
            raise ValueError(f"--kelvin {options.device.kelvin}: {error}") from None


def device_of(point: Point, options: CrossbarOptions) -> Device:
    """The device of a point, as noisy as the point says."""
    named = preset(point.device) if options.device.device_preset == (EVERY,) else named_devices(options)[point.device]
    stuck_on, stuck_off = options.device.stuck_on, options.device.stuck_off
    return replace(
        named.noisy(point.noise_scale),
        stuck_on=named.stuck_on if stuck_on is None else stuck_on,
        stuck_off=named.stuck_off if stuck_off is None else stuck_off,
    )


def named_devices(options: CrossbarOptions) -> dict[str, Device]:
    """The devices that were asked for by their own names, which a device file says; ValueError if two have one name."""
    named: dict[str, Device] = {}
    for given in options.device.device_preset:
        device = load_device(Path(given)) if is_file(given) else preset(given)
        if device.name in named:
            raise ValueError(f"--device-preset {given!r} is the second device named {device.name!r}")
        if is_file(given) and device.name in PRESETS:
            raise ValueError(f"--device-preset {given!r}: {device.name!r} is the name of a preset, give it another")
        named[device.name] = device
    return named


def is_file(device: str) -> bool:
    """Whether a device is named by a file rather than as a preset."""
    return Path(device).suffix in (".toml", ".json")


def design_of(point: Point, options: CrossbarOptions) -> Design:
    """The tiles of a point: as many devices as its weights need."""
    if point.tile_size < LEAST_TILE:
        raise ValueError(f"--tile-size is {point.tile_size}, must be at least {LEAST_TILE}")
    tiles = options.tiles
    rows, columns = Design(encoding=tiles.encoding).codec.shape(point.tile_size, point.tile_size)
    return Design(
        rows=rows,
        columns=columns,
        encoding=tiles.encoding,
        weight_bits=tiles.weight_bits,
        cell_bits=tiles.cell_bits,
        input_bits=tiles.input_bits,
        slice_bits=tiles.slice_bits,
        adc_bits=point.adc_bits,
        wires=replace(preset_wires(tiles.wires), terminals=tiles.transpose_terminals or "same"),
        neurons=tiles.neurons,
        network=tiles.tile_network,
    )


def published(point: Point, options: CrossbarOptions) -> bool:
    """Whether the source of the device says how it is after so many hours."""
    try:
        device_of(point, options).check_time(point.hours * HOUR_S)
    except ValueError:
        return False
    return True


def die(
    network: EPNetwork | Program,
    point: Point,
    options: CrossbarOptions,
    conditions: Conditions,
    index: int,
    *,
    headroom: float = 1.0,
    update: Update = REWRITING,
) -> Crossbar:
    """Die number `index` of a point: programmed, aged and with its remedies applied."""
    settling, device = conditions.settling, options.device
    seed = conditions.seed * DIES_PER_SEED + index
    machine = to_crossbar(
        network,
        Fabrication(
            device_of(point, options),
            design_of(point, options),
            seed=(seed,),
            noise_seed=(seed,),
            programming=program if device.programming == "published" else WriteVerify(device.verify_tolerance),
            headroom=headroom,
        ),
        steps=settling.steps,
        batch_size=settling.batch_size,
        tolerance=settling.tolerance,
        update=update,
        device=conditions.torch_device,
    )
    remedies, reference = remedies_of(options), None
    if remedies.offset_correction:
        reference = to_digital(network, steps=settling.steps, batch_size=settling.batch_size)
    if device.measured is not None:
        put_on(machine, load_chip(device.measured))
    age_s = point.hours * HOUR_S
    machine.prepare(conditions.calibration, remedies, age_s=age_s, kelvin=device.kelvin, reference=reference)
    return machine


def remedies_of(options: CrossbarOptions) -> Remedies:
    """What every die gets; ValueError for options that contradict each other."""
    remedies = options.remedies
    if remedies.column_gains and not remedies.drift_compensation:
        raise ValueError("--column-gains with --no-drift-compensation: there are no gains without it")
    return Remedies(
        drift_compensation=remedies.drift_compensation,
        column_gains=remedies.column_gains,
        adc_calibration=remedies.adc_calibration,
        offset_correction=remedies.offset_correction,
    )
