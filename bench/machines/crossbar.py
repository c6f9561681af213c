"""Analog crossbars: dies of noisy devices, several per point of a sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.machines.backend import (
    Backend,
    Conditions,
    Images,
    LearningKey,
    Prices,
    RowKey,
    ScratchLearner,
    Settling,
    Workload,
)
from bench.machines.crossbar_options import CrossbarOptions

if TYPE_CHECKING:
    from hw.crossbar.machine import Crossbar
    from hw.dies import Together
    from hw.ledger import Ledger
    from hw.machine import Machine, Settled
    from models.ep.network import EPNetwork

NOISE_AWARE = "-noise-aware"
"""What the zoo appends to the name of a network that was trained with programming noise."""
MANY_TILES = 1000
"""Tiles of a die from which on a run takes so long that a user should know before."""
DIE_HEADROOM = 2.0
"""Of a die that learns from scratch: the range of its devices over the largest weight it starts with."""


@dataclass(frozen=True)
class CrossbarBackend(CrossbarOptions, Backend):
    """Dies with a network on them, swept over devices, noise, age, converters and tiles."""

    name = "crossbar"
    torch_computes = True
    precisions = ("analog",)
    learns = ("analog",)
    updates = ("rewrite", "pulses", "mixed", "two-arrays")
    block = "crossbar"
    panel = "crossbar"

    def resolved(self) -> CrossbarBackend:
        """With device and tiles of the measured chip, if there is one."""
        from bench.machines.crossbar_chip import of_chip

        return of_chip(self)

    def check(self, settling: Settling, state_bits: int) -> None:  # noqa: ARG002
        """Whether dies of every point can be made."""
        from bench.machines.crossbar_dies import check_options

        check_options(self)

    def check_network(self, network: EPNetwork, settling: Settling, images: int) -> str | None:  # noqa: ARG002
        """Refuse more tiles than may be used, and states that their buffers do not hold; numbers behind ideal
        converters are in no buffer."""
        from bench.machines.crossbar_dies import points
        from mapping.placement.tiles import check_tiles, place_tiles

        tiles, bits = self.tiles, self.tiles.input_bits
        matrices = network.links if network.readout is None else (*network.links, network.readout)
        for size in {point.tile_size for point in points(self)}:
            check_tiles(place_tiles(matrices, size, tiles.tile_network, bits or 0, tiles.neurons), tiles.tiles)
        return None

    def idle(self, precisions: Sequence[str]) -> dict[str, str]:  # noqa: ARG002
        """Options of ways to write and to cut weights that are not taken."""
        needed = {
            "--verify-tolerance": (self.device.programming == "write-verify", "--programming write-verify"),
            "--cell-bits": (self.tiles.weight_bits is not None, "--weight-bits"),
        }
        return {flag: need for flag, (met, need) in needed.items() if not met}

    def model(self, model: str) -> str:
        """The network that was trained with noise, if the zoo has one beside `model` and it is not declined.

        A network that was itself trained with noise has none beside it and needs none; a measured chip holds the one
        it was programmed with.
        """
        from bench.machines.crossbar_chip import check_network
        from models.zoo import zoo_names
        from models.zoo.manifests import trained_with_noise

        if self.device.measured is not None:
            check_network(self, model)
            return model
        beside = f"{model}{NOISE_AWARE}"
        if self.remedies.noise_aware and beside not in zoo_names() and not trained_with_noise(model):
            raise ValueError(
                f"--noise-aware: {model} was trained without noise and the zoo holds no {beside}; train one with "
                "`python -m models.train --weight-noise` and give it as --model"
            )
        return beside if self.remedies.noise_aware is not False and beside in zoo_names() else model

    def points(self) -> tuple[Any, ...]:
        """Every value of every list with every other."""
        from bench.machines.crossbar_dies import points

        return points(self)

    def main_point(self) -> Any:
        """Noise as published and the default device, if they are among those asked for."""
        from bench.machines.crossbar_dies import reference_point

        return reference_point(self)

    def published(self, point: Any) -> bool:
        """Whether the source of the device says how it is after so many hours."""
        from bench.machines.crossbar_dies import published

        return published(point, self)

    def quick(self) -> CrossbarBackend:
        """Two dies a point."""
        return replace(self, device=replace(self.device, dies=min(self.device.dies, 2)))

    def machines(self) -> int:
        """Dies of a point."""
        return self.device.dies

    def draws(self) -> int:
        """Times each die settles all images."""
        return self.device.draws

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:
        """The dies of a point."""
        from bench.machines.crossbar_dies import die

        make = partial(die, work.network, key.point, self, work.conditions)
        return [partial(make, index) for index in range(self.device.dies)]

    def course(self, machine: Crossbar, images: Images) -> tuple[Settled, Callable[[int, int], Ledger]]:
        """Tiles keep what they did at every step of the last settle."""
        from hw.crossbar.stopped import until

        settled = machine.settle(images, trace=True)
        return settled, lambda steps, looks: until(machine, settled.ledger, steps, looks)

    def together(self, machines: Sequence[Any]) -> Together:
        """All dies of a point."""
        from hw.crossbar.dies import Dies

        return Dies(machines)

    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:  # noqa: ARG002
        """By the profiles that have prices for these converters, and why the others have none."""
        from bench.machines.crossbar_prices import crossbar_prices

        return crossbar_prices(ledger, self.tiles.neurons, work.conditions.own)

    def describe(self, machine: Crossbar) -> Mapping[str, Any]:
        """What a die says about itself."""
        return {"mismatch": machine.mismatch(), "kappa": machine.kappa(), "programming": asdict(machine.programming())}

    def details(self, ledger: Ledger, described: list[Mapping[str, Any]], shares: list[float]) -> dict[str, Any]:
        """Accuracy and description of every die, and events of the tiles."""
        from bench.machines.crossbar_prices import tile_counts

        return {"accuracy_by_die": shares, "dies": described, "tiles": tile_counts(ledger)}

    def warning(self, network: EPNetwork) -> str | None:
        """Where tiles are so many that a die takes minutes."""
        from bench.machines.crossbar_dies import points
        from mapping.placement.tiles import tiles_used

        matrices = network.links if network.readout is None else (*network.links, network.readout)
        size = min(point.tile_size for point in points(self))
        tiles = sum(tiles_used(matrices, size))
        usual = sum(tiles_used(matrices, 256))
        if tiles < MANY_TILES:
            return None
        return (
            f"--tile-size {size} makes {tiles:,} tiles of every die, where 256 makes {usual:,}: a die takes about "
            f"{ceil(tiles / usual):,} times as long"
        )

    def files(self) -> dict[str, str]:
        """The device files, and the list of what a measured chip consists of, with its digests."""
        from bench.machines.crossbar_dies import is_file

        chip = self.device.measured
        listed = () if chip is None else (str(chip / "export.json"),)
        named = (name for name in self.device.device_preset if is_file(name))
        return {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in (*named, *listed)}

    def damaged(self, share: float) -> CrossbarBackend:
        """Dies of a repair where the command line is silent: a share of the devices stuck on, as many off, and the
        transposed read at the far ends of the wires."""
        device, terminals = self.device, self.tiles.transpose_terminals
        return replace(
            self,
            device=replace(
                device,
                stuck_on=share if device.stuck_on is None else device.stuck_on,
                stuck_off=share if device.stuck_off is None else device.stuck_off,
            ),
            tiles=replace(self.tiles, transpose_terminals=terminals or "opposite"),
        )

    def fresh(self) -> CrossbarBackend:
        """Dies that learn from scratch where the command line is silent: as they are right after programming, in pairs
        that share a weight."""
        hours = (0.0,) if self.device.hours is None else self.device.hours
        encoding = "balanced" if self.tiles.encoding == "pair" else self.tiles.encoding
        return replace(self, device=replace(self.device, hours=hours), tiles=replace(self.tiles, encoding=encoding))

    def learners(
        self, conditions: Conditions, precisions: Sequence[str], updates: Sequence[str]
    ) -> list[ScratchLearner]:
        """One per point, way to write and die."""
        from bench.machines.crossbar_dies import die, remedies_of
        from bench.machines.crossbar_prices import effort
        from bench.machines.crossbar_updates import UPDATES, default_update

        dies = self.fresh()

        def learner(precision: str, point: Any, update: str, index: int) -> ScratchLearner:
            return ScratchLearner(
                LearningKey(self.name, precision, update, point, index + 1),
                "dies",
                "die",
                conditions.seed + index,
                lambda source: die(
                    source, point, dies, conditions, index, headroom=DIE_HEADROOM, update=UPDATES[update]
                ),
                lambda machine: machine.set_ranges(conditions.calibration, remedies_of(dies)),
                effort,
            )

        return [
            learner(precision, point, update, index)
            for precision in precisions
            for point in dies.points()
            for update in updates or (default_update(point, dies),)
            for index in range(dies.device.dies)
        ]
