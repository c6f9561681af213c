"""Brian2: the network in continuous time, as rates, in predictive spikes and by rates of firing neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

from bench.command_line import option
from bench.machines.backend import (
    Backend,
    Conditions,
    Prices,
    RowKey,
    ScratchLearner,
    Settling,
    Workload,
    learners_by_precision,
)

if TYPE_CHECKING:
    from hw.brian.machine import Brian
    from hw.brian.options import Imperfections, Scheme, Simulation
    from hw.events.messages import Coding
    from hw.ledger import Ledger
    from hw.machine import LearningMachine, Machine
    from mapping.program import Program
    from models.ep.network import EPNetwork

LEARNING_THRESHOLD, LEARNING_FALL_TAU = 1 / 8, 4.0
"""Of spikes that learn: phases of 20 and 10 time constants must end where the threshold tells them apart."""
MOST_COPIES = 10_000
COLUMNS = ("spikes", "synops_up", "synops_down")
"""What a row tells of every layer that sends, the input first."""
FLOATS = "floats, counted as if they were the integers of the chip"


@dataclass(frozen=True)
class BrianBackend(Backend):
    """Neurons in continuous time; --steps are time constants. A program of integers (fixed) and rate coding (fire) run
    where they are asked for."""

    linear: Annotated[Literal["operator", "synapses"], option("HOW")] = "operator"
    """A matrix product per link, or single synapses."""
    dt_tau: Annotated[float | None, option("X", "0.2; fire: 1 / spikes-per-tau")] = None
    """Step in time constants; 1 is a synchronous step."""
    tau_s: Annotated[float, option("SECONDS")] = 1e-3
    """Time constant of the neurons."""
    target: Annotated[Literal["numpy", "cython"], option("NAME")] = "numpy"
    """What Brian writes its code in: numpy, cython."""
    copies: Annotated[int, option("N")] = 20
    """Images side by side in one network."""
    payload: Annotated[Literal["graded", "unit"], option("KIND")] = "graded"
    """What a spike carries: graded, unit."""
    threshold: Annotated[float, option("X", "1; learning 0.125")] = 1.0
    """Of spikes at the start, in states."""
    fall_tau: Annotated[float | None, option("X", "6; learning 4")] = 6.0
    """Time constants in which it falls by e; None: fixed."""
    spikes_per_tau: Annotated[float, option("X")] = 10.0
    """fire: of a neuron at state 1."""
    window_tau: Annotated[float, option("X")] = 10.0
    """fire: time in which spikes are counted."""
    latency_s: Annotated[float, option("SECONDS")] = 0.0
    """From a spike to its arrival."""
    refractory_s: Annotated[float, option("SECONDS")] = 0.0
    """In which a neuron sends no other."""
    membrane_noise: Annotated[float, option("X")] = 0.0
    """Standard deviation of a state at rest."""
    threshold_mismatch: Annotated[float, option("X")] = 0.0
    """Relative standard deviation, frozen."""
    plots: Annotated[bool, option()] = False
    """Draw raster and states of the first image."""

    name = "brian"
    precisions = ("rate", "spikes", "fixed", "fire")
    on_request = ("fixed", "fire")
    learns = ("rate", "spikes")
    panel = "brian"
    block = "brian"

    def check(self, settling: Settling, state_bits: int) -> None:  # noqa: ARG002
        """Brian2 is there, every option can be used, and a settle has at least one step."""
        if find_spec("brian2") is None:
            raise ValueError("--backend brian needs Brian2, which is not installed: pip install 'ep-hardware[brian]'")
        if not 1 <= self.copies <= MOST_COPIES:
            raise ValueError(f"--copies is {self.copies}, must be 1 to {MOST_COPIES:,}")
        try:
            self._check_options()
        except ValueError as error:
            name, _, rest = str(error).partition(" ")
            flag = f"--{name.replace('_', '-')}" if hasattr(self, name) else name
            raise ValueError(f"{flag} {rest}") from error

    def _check_options(self) -> None:
        from hw.brian.loading import check_target

        simulation = self.simulation()
        for precision in self.precisions:
            if precision != "fire" or self.dt_tau is None:
                simulation.step_tau(self.scheme(precision))
        self.imperfections("spikes", 0)
        check_target(self.target)

    def check_network(self, network: EPNetwork, settling: Settling, images: int) -> str:
        """How much memory images side by side will take; a link that does not sum is refused, and too little memory."""
        from hw.brian.machine import check_circuit
        from hw.brian.memory import bytes_of, check_memory
        from hw.brian.options import PERFECT
        from mapping.circuit import circuit_of
        from models.train.free_memory import free_bytes

        circuit = circuit_of(network)
        check_circuit(circuit, self.scheme("rate"), PERFECT)
        simulation = self.simulation()
        rows, copies = round(settling.steps / simulation.step_tau(self.scheme("rate"))), min(self.copies, images)
        try:
            check_memory(circuit, simulation, copies, rows, free_bytes("cpu"))
        except MemoryError as error:
            raise ValueError(f"--copies {self.copies}: {error}") from error
        needed = bytes_of(circuit, simulation, copies, rows)
        return f"{copies} images side by side in Brian take up to {needed / 1e9:.2g} GB"

    def idle(self, precisions: Sequence[str]) -> dict[str, str]:
        """Options of spikes and of firing, where there are none."""
        needs = {
            "spikes": ("--payload", "--threshold", "--fall-tau"),
            "fire": ("--spikes-per-tau", "--window-tau"),
        }
        idle = {
            flag: f"--precision {name}" for name, flags in needs.items() if name not in precisions for flag in flags
        }
        if not {"spikes", "fire"} & set(precisions):
            spiking = ("--latency-s", "--refractory-s", "--membrane-noise", "--threshold-mismatch")
            idle |= dict.fromkeys(spiking, "--precision spikes or fire")
        return idle

    def quick(self) -> BrianBackend:
        """All images of a quick run at once."""
        return replace(self, copies=32)

    def scheme(self, precision: str) -> Scheme:
        """What neurons say to each other."""
        from hw.brian.options import Rate, RateCoding, SigmaDelta

        if precision == "spikes":
            return SigmaDelta(self.payload, self.threshold, self.fall_tau)
        return RateCoding(self.spikes_per_tau, self.window_tau) if precision == "fire" else Rate()

    def simulation(self) -> Simulation:
        """How they are integrated."""
        from hw.brian.options import Simulation

        return Simulation(self.tau_s, self.dt_tau, self.linear, self.target)

    def imperfections(self, precision: str, seed: int) -> Imperfections:
        """What the neurons and axons are like; rate neurons are perfect."""
        from hw.brian.options import PERFECT, Imperfections

        made = Imperfections(self.latency_s, self.refractory_s, self.membrane_noise, self.threshold_mismatch, seed)
        return made if precision in ("spikes", "fire") else PERFECT

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:
        """One machine."""
        return [partial(self._opened, work.source(key.precision), work.conditions, key.precision, self.plots)]

    def _opened(
        self, source: EPNetwork | Program, conditions: Conditions, precision: str, watch: bool, scheme: Any = None
    ) -> Brian:
        from mapping.machines import to_brian

        machine = to_brian(
            source,
            duration_tau=float(conditions.settling.steps),
            scheme=scheme or self.scheme(precision),
            simulation=self.simulation(),
            imperfections=self.imperfections(precision, conditions.seed),
            batch_size=self.copies,
        )
        machine.watch = watch
        return machine

    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:  # noqa: ARG002
        """Of spikes by the profiles of Loihi, and by those of spiking hardware that charge events alone."""
        from hw.cost.loihi import loihi_cost
        from hw.cost.profiles import loihi_profiles
        from hw.cost.spiking import SPIKING, spiking_cost

        profiles = loihi_profiles(work.conditions.own)
        if key.precision in ("rate", "fixed"):
            why = "neurons that say their state all the time send no spikes that have a price"
            return Prices({}, dict.fromkeys((*profiles, *SPIKING), why))
        on_chip = {name: loihi_cost(ledger, profile) for name, profile in profiles.items()}
        costs = {name: replace(cost, note=f"{FLOATS}; {cost.note}") for name, cost in on_chip.items()}
        return Prices({**costs, **{name: spiking_cost(ledger, profile) for name, profile in SPIKING.items()}}, {})

    def coding(self, precision: str) -> Coding:
        """Spikes are changes; rates say everything."""
        return "delta" if precision in ("spikes", "fire") else "dense"

    def spikes(self, precision: str) -> bool:
        """Where neurons fire; rates carry numbers."""
        return precision in ("spikes", "fire")

    def describe(self, machine: Any) -> Mapping[str, Any] | None:
        """How long it ran in steps of what, and what its neurons did for the first image."""
        seen = {} if machine.seen is None else {"seen": machine.seen}
        return {"dt_tau": machine.step_tau, "tau_s": machine.simulation.tau_s, **seen}

    def details(self, ledger: Ledger, described: list[Mapping[str, Any]], shares: list[float]) -> dict[str, Any] | None:  # noqa: ARG002
        """Events per image: spikes by layer, synaptic events up and down, neuron updates."""
        from hw.ledger import counted

        sent = counted(ledger.messages, "messages")
        columns = {name: sent.column(sent.coding, name).sum(axis=0) / ledger.images for name in COLUMNS}
        return {
            **{name: values.tolist() for name, values in columns.items()},
            "neuron_updates": float(sent.neuron_updates_by_step().sum()) / ledger.images,
            **described[0],
        }

    def learners(
        self,
        conditions: Conditions,
        precisions: Sequence[str],
        updates: Sequence[str],  # noqa: ARG002
    ) -> list[ScratchLearner]:
        """One per way to say states; it changes its weights in one way."""
        return [
            learner
            for name in precisions
            for learner in learners_by_precision(
                self.name, [name], conditions.seed, partial(self._learner, conditions, name)
            )
        ]

    def _learner(self, conditions: Conditions, precision: str, source: EPNetwork | Program) -> LearningMachine:
        from hw.brian.options import SigmaDelta

        scheme = self.scheme(precision)
        if scheme == SigmaDelta(self.payload):  # as it is where nothing is asked for
            scheme = SigmaDelta(self.payload, LEARNING_THRESHOLD, LEARNING_FALL_TAU)
        return self._opened(source, conditions, precision, False, scheme)
