"""Resistors that settle by themselves: ideal, or dies of the devices that crossbars have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from bench.command_line import choose, option
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

if TYPE_CHECKING:
    from hw.dies import Together
    from hw.learning.rule import Learned
    from hw.ledger import Ledger
    from hw.machine import Machine, Settled
    from hw.resistive.machine import Resistive
    from models.ep.network import EPNetwork

NO_DEVICE, DAMAGED_DEVICE = "ideal", "pcm-nandakumar-2019"
"""Resistors where the command line is silent: of a run, and of a repair."""
HOUR_S = 3600.0
DIES_PER_SEED = 1000
MOST_DIES, MOST_LEVELS = 1000, 2**24
DIE_HEADROOM = 2.0
"""Of a die that learns from scratch: the range of its devices over the largest conductance it starts with."""


@dataclass(frozen=True)
class ResistivePoint:
    """One point of a sweep."""

    resistor: str
    resistor_noise: float
    resistor_hours: float
    offset_mv: float


@dataclass(frozen=True)
class ResistiveBackend(Backend):
    """A deep resistive network: resistors, diodes, amplifiers."""

    resistor: Annotated[tuple[str, ...] | None, option("NAME..", "ideal; dies: PCM")] = None
    """ideal, or presets of crossbars (--list)."""
    resistor_noise: Annotated[tuple[float, ...], option("X..")] = (1.0,)
    """Noise of these devices, times the published one."""
    resistor_hours: Annotated[tuple[float, ...] | None, option("H..", "0; dies: 1")] = None
    """Hours between programming and settling."""
    resistor_stuck: Annotated[float | None, option("X", "0; repair: 0.025")] = None
    """Share of devices stuck on, and as many off."""
    resistor_levels: Annotated[int | None, option("N", "any value")] = None
    """Conductances that a device can be set to."""
    fresh_s: Annotated[float | None, option("S", "a read")] = None
    """Learning: how long fresh noise stays; 0: a phase."""
    offset_mv: Annotated[tuple[float, ...], option("MV..")] = (0.0,)
    """Spread of offsets, of amplifiers and outputs."""
    resistive_dies: Annotated[int, option("N")] = 5
    """Dies per point."""
    supply_v: Annotated[float, option("V")] = 1.0
    """Voltage of a pixel of 1."""

    name = "resistive"
    torch_computes = True
    precisions = ("analog",)
    learns = ("analog",)
    updates = ("rewrite", "pulses")
    block = "resistive"
    panel = "resistive"

    def check(self, settling: Settling, state_bits: int) -> None:  # noqa: ARG002
        """Devices that there are, at ages that are published; numbers in their range."""
        from hw.crossbar.devices.presets import PRESETS

        for name in self.devices:
            choose("--resistor", name, tuple(PRESETS))
        swept: dict[str, Sequence[object]] = {
            "--resistor": self.devices,
            "--resistor-noise": self.resistor_noise,
            "--resistor-hours": self.ages_h,
            "--offset-mv": self.offset_mv,
        }
        for flag, values in swept.items():
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{flag} {list(values)} must be values, each of them once")
        for flag, numbers, most in (
            ("--resistor-noise", self.resistor_noise, 1000.0),
            ("--resistor-hours", self.ages_h, 1e9),
            ("--resistor-stuck", (self.stuck,), 0.5),
            ("--fresh-s", () if self.fresh_s is None else (self.fresh_s,), 1e9),
            ("--offset-mv", self.offset_mv, 1e4),
        ):
            for value in numbers:
                if not 0 <= value <= most:
                    raise ValueError(f"{flag} is {value}, must be 0 to {most:g}")
        if self.resistor_levels is not None and not 2 <= self.resistor_levels <= MOST_LEVELS:
            raise ValueError(f"--resistor-levels is {self.resistor_levels}, must be 2 to {MOST_LEVELS:,}")
        if not 1 <= self.resistive_dies <= MOST_DIES:
            raise ValueError(f"--resistive-dies is {self.resistive_dies}, must be 1 to {MOST_DIES}")
        if not 0 < self.supply_v <= 100:
            raise ValueError(f"--supply-v is {self.supply_v}, must be above 0 and at most 100 V")
        for point in self._grid():
            if point.resistor != NO_DEVICE:
                PRESETS[point.resistor].check_time(point.resistor_hours * HOUR_S)

    def check_network(self, network: EPNetwork, settling: Settling, images: int) -> str | None:  # noqa: ARG002
        """A network without feedback is refused."""
        network.check_feedback("a resistor carries current both ways")
        return None

    def idle(self, precisions: Sequence[str]) -> dict[str, str]:  # noqa: ARG002
        """Options of devices, where there are none."""
        if self.devices != (NO_DEVICE,):
            return {}
        need = "--resistor NAME of a device"
        idle = dict.fromkeys(("--resistor-noise", "--resistor-hours", "--resistor-stuck", "--fresh-s"), need)
        return idle if self.has_dies() else {**idle, "--resistive-dies": f"{need}, --offset-mv or --resistor-levels"}

    @property
    def devices(self) -> tuple[str, ...]:
        """Kinds of resistors."""
        return (NO_DEVICE,) if self.resistor is None else self.resistor

    @property
    def ages_h(self) -> tuple[float, ...]:
        """Hours between programming and settling."""
        return (0.0,) if self.resistor_hours is None else self.resistor_hours

    @property
    def stuck(self) -> float:
        """Share of devices stuck at either end."""
        return self.resistor_stuck or 0.0

    def damaged(self, share: float) -> ResistiveBackend:
        """Dies of a study where the command line is silent: an hour after programming, a share of the devices stuck at
        either end."""
        hours = (1.0,) if self.resistor_hours is None else self.resistor_hours
        stuck = share if self.resistor_stuck is None else self.resistor_stuck
        return replace(self, resistor=self.resistor or (DAMAGED_DEVICE,), resistor_hours=hours, resistor_stuck=stuck)

    def quick(self) -> ResistiveBackend:
        """Two dies a point."""
        return replace(self, resistive_dies=min(self.resistive_dies, 2))

    def points(self) -> tuple[Any, ...]:
        """Every value of every list with every other; none where all is ideal."""
        return self._grid() if self.has_dies() else (None,)

    def main_point(self) -> Any:
        """The one nearest to what is published."""
        if not self.has_dies():
            return None
        return min(self._grid(), key=lambda point: (point.resistor_noise != 1.0, point.offset_mv))

    def machines(self) -> int:
        """Dies of a point."""
        return self.resistive_dies if self.has_dies() else 1

    def coding(self, precision: str) -> None:  # noqa: ARG002
        """Nothing is sent."""
        return

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:
        """The circuit, or the dies of a point."""
        make = partial(circuit, work.network, self, work.conditions, _point(key.point))
        return [partial(make, index) for index in range(self.machines())]

    def course(self, machine: Resistive, images: Images) -> tuple[Settled, Callable[[int, int], Ledger]]:
        """The circuit dissipates until it is stopped; whoever looks at the outputs reads voltages, which is free."""
        from hw.ledger import Ledger

        settled, heat = machine.course(images)
        return settled, lambda rows, _looks: Ledger(len(images), analog=heat[rows - 1])

    def together(self, machines: Sequence[Any]) -> Together:
        """All dies of a point."""
        from hw.resistive.dies import ResistiveDies

        return ResistiveDies(machines)

    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:  # noqa: ARG002
        """Heat of the ledger, drivers, and converters at the ends."""
        return self.pricer(key, work)(ledger)

    def pricer(self, key: RowKey, work: Workload) -> Callable[[Ledger], Prices]:  # noqa: ARG002
        """The circuit is built once: its lines and time constant make the prices."""
        from math import prod

        from hw.cost.resistive import driver_w, resistive_cost
        from hw.resistive.parasitics import driven_f

        machine = circuit(work.network, self, work.conditions, None, 0)
        line_f = driven_f(machine.network, machine.physics.parasitics)
        watts = driver_w(line_f, machine.tau_s, self.supply_v)
        inputs, outputs = prod(machine.network.links[0].below), machine.network.units[-1]

        def priced(ledger: Ledger) -> Prices:
            cost = resistive_cost(ledger, watts, inputs, outputs)
            return Prices({cost.profile: cost}, {})

        return priced

    def describe(self, machine: Resistive) -> Mapping[str, Any]:
        """What a circuit says about itself."""
        network = machine.network
        return {"tau_s": machine.tau_s, "resistors": network.resistors, "nodes": sum(network.units)}

    def details(self, ledger: Ledger, described: list[Mapping[str, Any]], shares: list[float]) -> dict[str, Any]:
        """Accuracy and description of every die, joules by part."""
        assert ledger.analog is not None
        parts = {part: joules / ledger.images for part, joules in ledger.analog.energy_j.items()}
        return {"accuracy_by_die": shares, "dies": [dict(one) for one in described], "energy_j": parts}

    def learners(
        self, conditions: Conditions, precisions: Sequence[str], updates: Sequence[str]
    ) -> list[ScratchLearner]:
        """Ideal resistors learn as one, dies each on its own by each way to write."""

        def learner(
            precision: str, point: ResistivePoint | None, update: str | None, die: int | None
        ) -> ScratchLearner:
            return ScratchLearner(
                LearningKey(self.name, precision, update, point, die),
                "resistive",
                "resistive",
                conditions.seed + (die or 1) - 1,
                lambda source: circuit(
                    source, self, conditions, point, (die or 1) - 1, update or "rewrite", DIE_HEADROOM
                ),
                effort=effort,
            )

        if not self.has_dies():
            return [learner(precision, None, None, None) for precision in precisions]
        return [
            learner(precision, point, update, die + 1)
            for precision in precisions
            for point in self._grid()
            for update in updates or ("rewrite",)
            for die in range(self.resistive_dies)
        ]

    def has_dies(self) -> bool:
        """Whether anything differs from one circuit to the next."""
        return self.devices != (NO_DEVICE,) or any(self.offset_mv) or self.resistor_levels is not None

    def _grid(self) -> tuple[ResistivePoint, ...]:
        return tuple(
            ResistivePoint(name, noise, hours, offset)
            for name in self.devices
            for offset in self.offset_mv
            for hours in self.ages_h
            for noise in self.resistor_noise
        )


def _point(point: Any) -> ResistivePoint | None:
    return ResistivePoint(**point) if isinstance(point, dict) else point


def circuit(
    source: Any,
    options: ResistiveBackend,
    conditions: Conditions,
    point: ResistivePoint | None,
    index: int,
    update: str = "rewrite",
    headroom: float = 1.0,
) -> Resistive:
    """Die number `index` of a point, or the ideal circuit."""
    from hw.crossbar.devices.presets import preset
    from hw.resistive.die import Die, Mismatch, fabricate
    from hw.resistive.machine import Physics
    from mapping.machines import to_resistive
    from mapping.resistive import Mapped

    settling, seed = conditions.settling, conditions.seed * DIES_PER_SEED + index
    physics = Physics(tolerance=settling.tolerance or Physics().tolerance, noise_seed=(seed,), fresh_s=options.fresh_s)
    make = partial(
        to_resistive,
        source,
        batch_size=settling.batch_size,
        input_v=options.supply_v,
        physics=physics,
        device=conditions.torch_device,
    )
    if point is None:
        return make()
    device, stuck = preset(point.resistor).noisy(point.resistor_noise), options.stuck
    if stuck:
        device = replace(device, stuck_on=stuck, stuck_off=stuck)
    age_s = 0.0 if point.resistor == NO_DEVICE else point.resistor_hours * HOUR_S

    def fabricated(mapped: Mapped) -> Die:
        mismatch = Mismatch(offset_v=1e-3 * point.offset_mv)
        return fabricate(mapped.network, device, (seed,), mismatch=mismatch, levels=options.resistor_levels).at(age_s)

    return make(g_max_s=device.g_max_s / headroom, fabricated=fabricated, update=update)


def effort(machine: Resistive, done: list[Learned]) -> dict[str, Any]:
    """What every epoch took: the heat of its phases; and writes of every device, where there are devices."""
    from hw.cost.resistive import SPREAD
    from hw.ledger import counted

    writes, heats = machine.writes(), [sum(counted(one.ledger.analog, "analog").energy_j.values()) for one in done]
    energy = [{"low": heat / SPREAD, "nominal": heat, "high": heat * SPREAD} for heat in heats]
    if not len(writes):
        return {"energy_j": energy}
    return {"energy_j": energy, "writes_per_device": {"mean": float(writes.mean()), "max": int(writes.max())}}
