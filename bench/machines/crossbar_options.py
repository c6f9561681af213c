"""What a command line may say of crossbars: devices, tiles, remedies. Lists are swept, every value with every other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from bench.command_line import option

DEFAULT_DEVICE = "pcm-nandakumar-2019"
EVERY = "all"
"""Stands for every preset."""


@dataclass(frozen=True)
class DeviceOptions:
    """What sits at the crossings, how it is written and when it is read.

    Of `all` presets, those without published data at an age that is asked for get an empty row there. Files of devices
    are read anew for every die: they must not change during a run.
    """

    device_preset: Annotated[tuple[str, ...], option("NAME..")] = (DEFAULT_DEVICE,)
    """Presets (--list), TOML or JSON files, or all."""
    measured: Annotated[Path | None, option("DIR")] = None
    """A chip of your own (mapping.measured): one die."""
    noise_scale: Annotated[tuple[float, ...], option("X..")] = (1.0,)
    """Every random spread of the device times this."""
    hours: Annotated[tuple[float, ...] | None, option("H..", "1; scratch: 0")] = None
    """Hours between programming and inference."""
    dies: Annotated[int, option("N")] = 5
    """Dies per point, each with its own seed."""
    draws: Annotated[int, option("N")] = 1
    """Times a die settles all images, noise drawn anew."""
    programming: Annotated[Literal["published", "write-verify"], option("HOW")] = "published"
    """published spread, or write-verify pulse by pulse."""
    verify_tolerance: Annotated[float, option("X")] = 0.02
    """Of write-verify: accepted error over the range."""
    kelvin: Annotated[float | None, option("K")] = None
    """Temperature of the die, if the device has a law."""
    stuck_on: Annotated[float | None, option("X", "0; repair: 0.025")] = None
    """Share of devices stuck at their largest value."""
    stuck_off: Annotated[float | None, option("X", "0; repair: 0.025")] = None
    """Share of devices stuck at their smallest value."""

    @property
    def ages_h(self) -> tuple[float, ...]:
        """Hours between programming and inference."""
        return (1.0,) if self.hours is None else self.hours


@dataclass(frozen=True)
class TileOptions:
    """The arrays and what is around them.

    Signed weights are pairs (two devices, one of them off), balanced (two that share the weight: what pulses need to
    move it both ways, and what learning from scratch makes of a pair) or offset (one, and a reference for each
    direction, so that errors of the references make up and down differ). Behind analog neurons only images and answers
    are converted: sums of tiles and slices, pools and drift gains are then analog too.
    """

    tile_size: Annotated[tuple[int, ...], option("N..")] = (256,)
    """Most weights in a row and in a column of a tile."""
    adc_bits: Annotated[tuple[int | None, ...], option("N..")] = (8,)
    """Bits of column converters; None is ideal."""
    input_bits: Annotated[int | None, option("N")] = 8
    """Bits of row drivers; None is ideal."""
    slice_bits: Annotated[int | None, option("N", "all")] = None
    """Bits of an input that one read drives."""
    encoding: Annotated[Literal["pair", "balanced", "offset"], option("HOW")] = "pair"
    """Signed weights: pair, balanced or offset."""
    weight_bits: Annotated[int | None, option("N", "one device a weight")] = None
    """Cut weights of so many bits into slices."""
    cell_bits: Annotated[int, option("N")] = 2
    """Bits of a device, where weights are cut."""
    wires: Annotated[str, option("NAME")] = "aihwkit"
    """Resistance of the wires, by source (--list)."""
    transpose_terminals: Annotated[Literal["same", "opposite"] | None, option("E", "same; repair: opposite")] = None
    """Ends for transposed reads: same, opposite."""
    neurons: Annotated[Literal["digital", "analog"], option("KIND")] = "digital"
    """digital behind converters, or analog."""
    tile_network: Annotated[Literal["mesh", "bus"], option("KIND")] = "mesh"
    """What joins tiles: mesh or bus."""
    tiles: Annotated[int | None, option("N", "as many as it needs")] = None
    """Tiles that may be used."""


@dataclass(frozen=True)
class RemedyOptions:
    """What users do against drift and errors of devices."""

    drift_compensation: Annotated[bool, option()] = True
    """Leave results as drift has made them."""
    column_gains: Annotated[bool, option()] = False
    """A gain against drift for every column of a link."""
    adc_calibration: Annotated[bool, option()] = True
    """Converter ranges for the worst case, not by images."""
    offset_correction: Annotated[bool, option()] = False
    """Shift biases by what training images miss there."""
    noise_aware: Annotated[bool | None, option("BOOL", "if there is one")] = None
    """Use the network that was trained with noise."""


@dataclass(frozen=True)
class CrossbarOptions:
    """All options of crossbars."""

    device: Annotated[DeviceOptions, arg(help="")] = field(default_factory=DeviceOptions)
    tiles: Annotated[TileOptions, arg(help="")] = field(default_factory=TileOptions)
    remedies: Annotated[RemedyOptions, arg(help="")] = field(default_factory=RemedyOptions)
