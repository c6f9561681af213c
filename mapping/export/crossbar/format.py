"""Conductances of every tile, in siemens, with the place of every device in the network.

`layout.json` is the chip (`hw.crossbar.files.layout`); `TILE.csv` has a line for every device and `TILE.npz` the same
as matrices; `places.npz` finds the devices of a weight; `biases.npz` are the digital numbers beside the tiles.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from mapping.export.format import Format

if TYPE_CHECKING:
    import numpy as np

    from hw.crossbar.devices.device import Array, Device
    from hw.crossbar.devices.device_array import DeviceArray
    from hw.crossbar.devices.write_verify import Pulses
    from hw.crossbar.machine import Crossbar
    from hw.crossbar.tiles.design import Design
    from mapping.export.source import Source

RANGE_IMAGES, RANGE_STEPS, AT_ONCE = 16, 20, 4
"""Training images that set the ranges of the converters, the steps that settle them, and how many settle together:
columns of the maps of a network of CIFAR take 10 MB an image."""
LEAST_TILE = 8
"""Weights in a row, as in `bench.run`: a network in smaller tiles takes minutes, and a file for each of thousands."""
DEVICE_FILE = "device"
"""Name of the copy of a device file, with its own suffix."""


@dataclass(frozen=True)
class CrossbarFormat(Format):
    """The chip; devices and tiles as in `bench.run --backend crossbar`."""

    name: ClassVar[str] = "crossbar"
    purpose: ClassVar[str] = "conductances and pulses of every device, and where it belongs: CSV, NPZ, pictures"

    device_preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "pcm-nandakumar-2019"
    """Preset, or a TOML or JSON file."""
    tile_size: Annotated[int, tyro.conf.arg(metavar="N")] = 256
    """Most weights in a row and in a column of a tile."""
    encoding: Literal["pair", "balanced", "offset"] = "pair"
    """How devices hold signed weights."""
    weight_bits: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Cut weights of so many bits into slices; one device a weight if not given."""
    cell_bits: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """Bits of a device, where weights are cut."""
    input_bits: Annotated[int | None, tyro.conf.arg(metavar="N")] = 8
    """Bits of row drivers; None is ideal."""
    adc_bits: Annotated[int | None, tyro.conf.arg(metavar="N")] = 8
    """Bits of column converters; None is ideal."""
    worst_ranges: bool = False
    """Converter ranges for the worst case, instead of by training images."""
    verify_tolerance: Annotated[float, tyro.conf.arg(metavar="X")] = 0.02
    """Error over the range at which write-verify stops, where pulses are published."""
    die_seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Of the die whose pulses are told."""
    pictures: bool = True
    """Leave out the picture of every tile."""
    spice: Annotated[str | None, tyro.conf.arg(metavar="WIRES")] = None
    """Netlists of every tile with these wires, and of a read of it up and down, for ngspice."""

    def check(self) -> None:
        """Whether there is such a chip."""
        from hw.crossbar.devices.write_verify import WriteVerify
        from hw.crossbar.tiles.wires import preset_wires

        if self.die_seed < 0:
            raise ValueError(f"--die-seed is {self.die_seed}, must be at least 0")
        if self.tile_size < LEAST_TILE:
            raise ValueError(f"--tile-size is {self.tile_size}, must be at least {LEAST_TILE}")
        self.design()
        self.device()
        WriteVerify(self.verify_tolerance)
        if self.spice is not None:
            preset_wires(self.spice)

    def obstacle(self, source: Source) -> str | None:
        """Tiles hold chains."""
        from mapping.export.source import no_chain

        return no_chain(source)

    def design(self) -> Design:
        """The tiles."""
        from hw.crossbar.tiles.design import Design

        rows, columns = Design(encoding=self.encoding).codec.shape(self.tile_size, self.tile_size)
        return Design(
            rows,
            columns,
            self.encoding,
            self.weight_bits,
            self.cell_bits,
            input_bits=self.input_bits,
            adc_bits=self.adc_bits,
        )

    def device(self) -> Device:
        """What sits at the crossings."""
        from hw.crossbar.devices.device_file import load_device
        from hw.crossbar.devices.presets import preset

        return load_device(self.device_preset) if is_file(self.device_preset) else preset(self.device_preset)

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The layout and the tables; export.json gets how many tiles, devices and pulses there are."""
        import numpy as np

        from hw.crossbar.files.layout import layout_of, named_tiles
        from hw.crossbar.files.pictures import draw_conductances
        from hw.crossbar.files.places import devices_of, places_of
        from hw.crossbar.files.tables import write_table

        machine, pulses = self._programmed(source)
        if is_file(self.device_preset):
            file = Path(self.device_preset)
            (folder / f"{DEVICE_FILE}{file.suffix}").write_bytes(file.read_bytes())
        layout = {"model": source.model, "tile_size": self.tile_size, **layout_of(machine)}
        (folder / "layout.json").write_text(json.dumps(layout, indent=1) + "\n", encoding="utf-8")
        (folder / "tiles").mkdir()
        for index, (name, _, wire, placed) in enumerate(named_tiles(machine)):
            values: dict[str, Any] = {"target_s": placed.tile.array.target_s}
            if pulses:
                sent = pulses[index]
                values |= {"pulses_up": sent.up, "pulses_down": sent.down, "given_up": sent.given_up.astype(np.int64)}
            write_table(folder / "tiles" / f"{name}.csv", places_of(placed, wire), values)
            np.savez_compressed(folder / "tiles" / f"{name}.npz", **values)
            if self.spice is not None:
                _write_netlists(folder / "tiles", name, placed.tile.array.target_s, self.spice, machine.device.read_v)
            if self.pictures:
                draw_conductances(folder / "tiles" / f"{name}.png", name, placed.tile.array.target_s, machine.device)
        found = {
            f"{name}_{key}": array
            for name, link in zip(machine.names, machine.links, strict=True)
            for key, array in devices_of(link.matrix, link.wire).items()
        }
        np.savez_compressed(folder / "places.npz", **found)
        circuit = machine.circuit
        biases = [*circuit.biases, *(() if circuit.readout is None else (circuit.readout_bias,))]
        np.savez(folder / "biases.npz", **dict(zip(machine.names, biases, strict=True)))
        events = machine.programming()
        return {"tiles": len(layout["tiles"]), "devices": events.devices, "pulses": events.pulses if pulses else None}

    def _programmed(self, source: Source) -> tuple[Crossbar, list[Pulses]]:
        """The die, with its ranges set, and the pulses of every tile; none where no response is published."""
        from hw.crossbar.devices.device_array import program
        from hw.crossbar.devices.write_verify import WriteVerify
        from hw.crossbar.fabrication import Fabrication
        from mapping.machines import to_crossbar

        device, pulses = self.device(), []
        worst = self.worst_ranges or self.adc_bits is None
        # before there is a die, so that the data are gone by then
        images = None if worst else source.images(RANGE_IMAGES)

        def pulsing(targets: Array, device: Device, rng: np.random.Generator) -> DeviceArray:
            array, sent = WriteVerify(self.verify_tolerance).write(targets, device, rng)
            pulses.append(sent)
            return array

        fabrication = Fabrication(
            device,
            self.design(),
            seed=(self.die_seed,),
            noise_seed=(self.die_seed,),
            programming=program if device.pulses is None else pulsing,
        )
        machine = to_crossbar(source.held, fabrication, steps=RANGE_STEPS, batch_size=AT_ONCE)
        if images is None:
            machine.worst_ranges()
        else:
            machine.calibrate(images)
        return machine, pulses


def _write_netlists(folder: Path, name: str, g_s: Array, wires: str, read_v: float) -> None:
    """NAME.cir, and NAME-up.cir and NAME-down.cir, which read it with the largest input on every line."""
    from hw.crossbar.files.netlist import bench_of, subcircuit
    from hw.crossbar.tiles.wires import preset_wires

    rows, columns = g_s.shape
    called = name.replace("-", "_")
    (folder / f"{name}.cir").write_text(subcircuit(called, g_s, preset_wires(wires)), encoding="utf-8")
    up = bench_of(called, (rows, columns), [read_v] * rows, "up", f"{name}.cir")
    down = bench_of(called, (rows, columns), [read_v] * columns, "down", f"{name}.cir")
    (folder / f"{name}-up.cir").write_text(up, encoding="utf-8")
    (folder / f"{name}-down.cir").write_text(down, encoding="utf-8")


def is_file(device: str) -> bool:
    """Whether a device is named by a file rather than as a preset."""
    return Path(device).suffix in (".toml", ".json")
