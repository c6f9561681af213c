"""The crossbar in the benchmark: which dies are asked what, and what a row says about them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.records.rows import Row
from bench.robustness.disturbances import Images
from hw.cost.cost import Cost
from hw.cost.crossbar import crossbar_cost
from hw.cost.crossbar_profiles import CROSSBAR_PROFILES
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.device_file import load_device
from hw.crossbar.devices.die import program
from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.write_verify import WriteVerify
from hw.crossbar.machine import REWRITING, Crossbar
from hw.crossbar.tiles.design import Design, Neurons
from hw.crossbar.tiles.wires import Terminals, preset_wires
from hw.crossbar.updates.update import Update
from hw.ledger import Ledger, counted
from mapping.machines import to_crossbar, to_digital
from models.ep.network import EPNetwork

EVERY = "all"
DEFAULT_DEVICE = "pcm-nandakumar-2019"
HOUR_S = 3600.0
DIE_CALIBRATION_IMAGES = 64
DIES_PER_SEED = 1000
"""Runs with other seeds meet other dies."""


@dataclass(frozen=True)
class CrossbarOptions:
    """Crossbar runs: devices, tiles, remedies. Lists are swept, every value with every other."""

    device_preset: tuple[str, ...] = (DEFAULT_DEVICE,)
    """Devices: presets (see --list), TOML or JSON files of your own (read anew for every die: leave them alone during a
    run), or all. Of all, those without published data at an age that is asked for get an empty row there."""
    noise_scale: tuple[float, ...] = (1.0,)
    """Every random spread of the device times this: programming, drift spread, slow and fresh noise."""
    hours: tuple[float, ...] | None = None
    """Hours between programming and inference. Default: 1, and 0 for --learn scratch."""
    adc_bits: tuple[int | None, ...] = (8,)
    """Resolution of the converters; None is an ideal one."""
    tile_size: tuple[int, ...] = (256,)
    """Largest number of weights in a row and in a column of a tile."""
    dies: int = 5
    """Dies that are programmed for every point, each with its own seed."""
    draws: int = 1
    """Times each die settles all images, with slow and fresh noise drawn anew."""
    drift_compensation: bool = True
    """Remedy: scale results by the conductance that a link has lost; with analog neurons in the amplifiers that take
    its currents."""
    adc_calibration: bool = True
    """Remedy: set converter ranges by what training images cause on this die; else they hold the worst case."""
    offset_correction: bool = False
    """Remedy: shift every digital bias by what training images miss at it on this die, on average."""
    noise_aware: bool | None = None
    """Remedy: use the network that was trained with programming noise: the model itself, or the one that the zoo has
    beside it. Default: if there is one."""
    programming: Literal["published", "write-verify"] = "published"
    """Programming error with the published spread, or what writing pulse by pulse leaves on devices whose response to
    pulses is published."""
    verify_tolerance: float = 0.02
    """Of write-verify: largest accepted error, over the range of the device."""
    kelvin: float | None = None
    """Temperature of the die, for devices with a law of it. Default: that at which they were published."""
    stuck_on: float | None = None
    """Share of devices stuck at their largest conductance. Default: as the device says (presets: none), and 0.025 for
    --learn repair."""
    stuck_off: float | None = None
    """Share of devices stuck at their smallest conductance. Default: as the device says (presets: none), and 0.025 for
    --learn repair."""
    encoding: str = "pair"
    """Signed weights as pair (two devices, one of them off), balanced (two that share the weight: what pulses need to
    move it both ways, and what --learn scratch makes of a pair) or offset (one, and a reference for each direction, so
    that errors of the references make up and down differ)."""
    weight_bits: int | None = None
    """Cut weights of so many bits into slices of --cell-bits; default: one device holds a whole weight."""
    cell_bits: int = 2
    """Bits of a device, where weights are cut."""
    input_bits: int | None = 8
    """Resolution of the drivers."""
    slice_bits: int | None = None
    """Bits of an input that one read drives; default: all of them."""
    wires: str = "aihwkit"
    """Resistance of the wires, by source (see --list)."""
    transpose_terminals: Terminals | None = None
    """Ends of the wires that the transposed read uses: same (default), or opposite (default of --learn repair)."""
    neurons: Neurons = "digital"
    """Neurons behind converters, or analog ones, where only images and answers are converted: sums of tiles and slices,
    pools and drift gains are then analog too."""

    @property
    def ages_h(self) -> tuple[float, ...]:
        """Hours between programming and inference."""
        return (1.0,) if self.hours is None else self.hours


@dataclass(frozen=True)
class Point:
    """One point of a sweep."""

    device: str
    noise_scale: float
    hours: float
    adc_bits: int | None
    tile_size: int

    @property
    def key(self) -> str:
        """The same for the same point, whatever run it belongs to."""
        return json.dumps(asdict(self), sort_keys=True)


AXES = ("device", "noise_scale", "hours", "adc_bits", "tile_size")


@dataclass(frozen=True)
class CrossbarWork:
    """What every point of a run has in common."""

    options: CrossbarOptions
    seed: int
    calibration: Images
    """Training images, (N, C, H, W)."""


def points(options: CrossbarOptions) -> tuple[Point, ...]:
    """The grid of a sweep."""
    names = tuple(PRESETS) if options.device_preset == (EVERY,) else options.device_preset
    return tuple(
        Point(name, scale, hours, bits, size)
        for name in names
        for size in options.tile_size
        for bits in options.adc_bits
        for hours in options.ages_h
        for scale in options.noise_scale
    )


def reference_point(options: CrossbarOptions) -> Point:
    """The point that is disturbed and drawn against the steps: noise as published and the default device, if they are
    among those asked for, and the first of everything else."""
    return min(points(options), key=_strangeness)


def main_point(rows: list[Row]) -> dict[str, Any] | None:
    """The `reference_point` of these rows; None without dies, or where the source of the device says nothing there."""
    dies = [row for row in rows if row.get("point") is not None]
    if not dies:
        return None
    row = min(dies, key=lambda row: _strangeness(Point(**row["point"])))
    return None if row["accuracy"] is None else dict(row["point"])


def _strangeness(point: Point) -> tuple[bool, bool]:
    return point.noise_scale != 1.0, point.device != DEFAULT_DEVICE


def check_options(options: CrossbarOptions) -> None:
    """Refuse what no die can be made of; ValueError names the option, the value and the choices."""
    if options.device_preset == (EVERY,) and (options.programming != "published" or options.kelvin is not None):
        raise ValueError(
            f"--device-preset {EVERY} holds devices without --programming write-verify and --kelvin: name some"
        )
    if EVERY in options.device_preset and len(options.device_preset) > 1:
        raise ValueError(f"--device-preset {EVERY} stands for every preset: name no other beside it")
    swept: dict[str, tuple[object, ...]] = {
        "--device-preset": options.device_preset,
        "--noise-scale": options.noise_scale,
        "--hours": options.ages_h,
        "--adc-bits": options.adc_bits,
        "--tile-size": options.tile_size,
    }
    for option, values in swept.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{option} {list(values)} must be values, each of them once")
    for option, value in (("--dies", options.dies), ("--draws", options.draws)):
        if not 1 <= value <= DIES_PER_SEED:
            raise ValueError(f"{option} is {value}, must be 1 to {DIES_PER_SEED}")
    if options.offset_correction and options.neurons == "analog":
        raise ValueError("--offset-correction needs --neurons digital: analog ones convert no drive to be seen")
    for point in points(options):
        device = device_of(point, options)
        design = design_of(point, options)
        if not 0 <= point.hours < np.inf:
            raise ValueError(f"--hours is {point.hours}, must be a number from 0")
        if options.device_preset == (EVERY,):
            continue
        device.check_time(point.hours * HOUR_S)
        if options.programming == "write-verify":
            WriteVerify(options.verify_tolerance).check(device)
        if options.kelvin is not None:
            try:
                device.check_kelvin(options.kelvin)
                design.wires.at_kelvin(options.kelvin)
            except ValueError as error:
                raise ValueError(f"--kelvin {options.kelvin}: {error}") from None


def device_of(point: Point, options: CrossbarOptions) -> Device:
    """The device of a point, as noisy as the point says."""
    named = load_device(Path(point.device)) if Path(point.device).suffix in (".toml", ".json") else preset(point.device)
    return replace(
        named.noisy(point.noise_scale),
        stuck_on=named.stuck_on if options.stuck_on is None else options.stuck_on,
        stuck_off=named.stuck_off if options.stuck_off is None else options.stuck_off,
    )


def design_of(point: Point, options: CrossbarOptions) -> Design:
    """The tiles of a point: as many devices as its weights need."""
    if point.tile_size < 1:
        raise ValueError(f"--tile-size is {point.tile_size}, must be at least 1")
    probe = Design(encoding=options.encoding)
    rows, columns = probe.codec.shape(point.tile_size, point.tile_size)
    return Design(
        rows=rows,
        columns=columns,
        encoding=options.encoding,
        weight_bits=options.weight_bits,
        cell_bits=options.cell_bits,
        input_bits=options.input_bits,
        slice_bits=options.slice_bits,
        adc_bits=point.adc_bits,
        wires=replace(preset_wires(options.wires), terminals=options.transpose_terminals or "same"),
        neurons=options.neurons,
    )


def published(point: Point, options: CrossbarOptions) -> bool:
    """Whether the source of the device says how it is after so many hours."""
    try:
        device_of(point, options).check_time(point.hours * HOUR_S)
    except ValueError:
        return False
    return True


def die(
    network: EPNetwork,
    point: Point,
    work: CrossbarWork,
    *,
    index: int,
    steps: int,
    batch_size: int,
    tolerance: float | None,
    headroom: float = 1.0,
    update: Update = REWRITING,
) -> Crossbar:
    """Die number `index` of a point: programmed, aged and with its remedies applied."""
    options = work.options
    machine = to_crossbar(
        network,
        device_of(point, options),
        design_of(point, options),
        steps=steps,
        batch_size=batch_size,
        tolerance=tolerance,
        die_seed=work.seed * DIES_PER_SEED + index,
        noise_seed=work.seed * DIES_PER_SEED + index,
        programming=program if options.programming == "published" else WriteVerify(options.verify_tolerance),
        headroom=headroom,
        update=update,
    )
    machine.age(point.hours * HOUR_S, options.kelvin)
    if options.drift_compensation:
        machine.compensate_drift()
    set_ranges(machine, work)
    if options.offset_correction:
        reference = to_digital(network, steps=steps, batch_size=batch_size)
        machine.correct_offsets(reference, work.calibration)
        set_ranges(machine, work)
    return machine


def set_ranges(machine: Crossbar, work: CrossbarWork) -> None:
    """Give the converters their ranges, as the options say."""
    if work.options.adc_calibration:
        machine.calibrate(work.calibration)
    else:
        machine.worst_ranges()


def describe(machine: Crossbar) -> dict[str, Any]:
    """What a die says about itself."""
    return {"mismatch": machine.mismatch(), "kappa": machine.kappa(), "programming": asdict(machine.programming())}


def tile_counts(ledger: Ledger) -> dict[str, Any]:
    """Events per image, by link and direction, and the share of conversions that left the range; what was written, on
    all dies together."""
    tiles = counted(ledger.tiles, "tiles")
    per_image = {
        name: (getattr(tiles, name) / ledger.images).tolist()
        for name in ("reads", "dac", "adc", "holds", "shift_adds", "bits", "array_j")
    }
    clipped = np.divide(tiles.clipped, tiles.adc, out=np.zeros_like(tiles.adc), where=tiles.adc > 0)
    return {
        "links": list(tiles.links),
        "tiles": list(tiles.tiles),
        "clipped": clipped.tolist(),
        "slots": tiles.slots / ledger.images,
        "written": asdict(tiles.written),
        **per_image,
    }


def crossbar_costs(ledger: Ledger, options: CrossbarOptions) -> tuple[dict[str, Cost], dict[str, str]]:
    """Costs by the profiles that have prices for these converters, and why the others have none."""
    tiles, messages = counted(ledger.tiles, "tiles"), counted(ledger.messages, "messages")
    updates = 0.0 if options.neurons == "analog" else float(messages.neuron_updates_by_step().sum())
    costs, missing = {}, {}
    for name, profile in CROSSBAR_PROFILES.items():
        try:
            costs[name] = crossbar_cost(tiles, updates, ledger.images, profile)
        except ValueError as error:
            missing[name] = str(error)
    return costs, missing
