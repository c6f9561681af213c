"""What the benchmark asks of a machine: one object per machine, which holds that machine's own options.

A new machine is one file in this folder, with a class derived from `Backend`, and one entry in the registry. Importing
these files loads neither torch nor the machines: they are imported where they are opened.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.command_line import option
from hw.ledger import until

if TYPE_CHECKING:
    from hw.cost.constants.own import OwnProfile
    from hw.cost.cost import Cost
    from hw.dies import Together
    from hw.events.messages import Coding
    from hw.learning.rule import Learned
    from hw.ledger import Ledger
    from hw.machine import LearningMachine, Machine, Settled
    from mapping.program import Program
    from models.ep.network import EPNetwork

INTEGERS = ("fixed", "delta")
"""Precisions in which a machine is given a program of integers rather than the float network."""

MOST_STEPS = 100_000
"""Of a phase: what has not come to rest by then oscillates."""
MOST_BATCH = 1_000_000
"""Images at once: more than any data set has."""

Images = NDArray[np.float32]


@dataclass(frozen=True)
class RowKey:
    """What identifies a row of a run: a machine in a number format, at one point of its sweep."""

    backend: str
    precision: str
    point: Any = None
    """A frozen dataclass of the machine's own, or the same as a dictionary; None on machines that are not swept."""

    @property
    def key(self) -> str:
        """The same for the same row, whatever run it belongs to."""
        return " ".join([self.backend, self.precision, *([] if self.point is None else [point_key(self.point)])])


def point_key(point: Any) -> str:
    """A point as text: its fields in alphabetical order."""
    return json.dumps(point if isinstance(point, Mapping) else asdict(point), sort_keys=True)


@dataclass(frozen=True)
class Settling:
    """How networks settle."""

    steps: Annotated[int, option("T")] = 40
    """Step limit of the synchronous dynamics."""
    batch_size: Annotated[int, option("N")] = 256
    """Images that settle together."""
    tolerance: Annotated[float | None, option("X")] = None
    """Hold an image once no state moves by more in a step."""

    def check(self) -> None:
        """ValueError names the option, its value and what it must be."""
        for name, value, most in (("--steps", self.steps, MOST_STEPS), ("--batch-size", self.batch_size, MOST_BATCH)):
            if value < 1:
                raise ValueError(f"{name} is {value}, must be at least 1")
            if value > most:
                raise ValueError(f"{name} is {value}, must be at most {most:,}")
        if self.tolerance is not None and not 0 <= self.tolerance < 1:
            raise ValueError(f"--tolerance is {self.tolerance}, must be in [0, 1): states lie in [0, 1]")


@dataclass(frozen=True)
class Conditions:
    """What all machines of a run have in common."""

    settling: Settling
    calibration: Images
    """Training images (N, C, H, W) by which a machine may set itself."""
    seed: int
    torch_device: str
    """Where torch computes: cpu, cuda or cuda:N."""
    own: tuple[OwnProfile, ...] = ()
    """Profiles of the user's constants, priced beside the published ones."""


@dataclass(frozen=True)
class Workload:
    """A network, its program if integers are asked for, and the conditions under which it settles."""

    network: EPNetwork
    program: Program | None
    conditions: Conditions

    def source(self, precision: str) -> EPNetwork | Program:
        """What a machine of this precision loads."""
        if precision not in INTEGERS:
            return self.network
        assert self.program is not None, "integers were not asked for when the workload was made"
        return self.program


@dataclass(frozen=True)
class Prices:
    """Modelled costs by profile, the main one first, and why other profiles have none."""

    costs: Mapping[str, Cost]
    unpriced: Mapping[str, str]


@dataclass(frozen=True)
class LearningKey:
    """What identifies a row of a learning study."""

    backend: str
    precision: str
    update: str | None = None
    """How a change is written, on machines that have a choice."""
    point: Any = None
    die: int | None = None

    @property
    def key(self) -> str:
        """The same for the same row, whatever run it belongs to."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class ScratchLearner:
    """A machine that is to learn from scratch: one row of that study."""

    key: LearningKey
    study: str
    """Whose defaults hold where the command line is silent, a key of `bench.studies.defaults.SCRATCH`."""
    network: str
    """Which network learns, a key of `bench.studies.scratch.NETWORKS`."""
    seed: int
    open: Callable[[EPNetwork | Program], LearningMachine]
    """Make the machine; use it as a context manager."""
    refresh: Callable[[Any], None] = lambda _: None
    """Prepare a measurement, e.g. set converter ranges."""
    effort: Callable[[Any, list[Learned]], dict[str, Any]] = lambda _machine, _done: {}
    """What the machine was put through, epoch by epoch."""


def learners_by_precision(
    name: str, precisions: Sequence[str], seed: int, make: Callable[[EPNetwork | Program], LearningMachine]
) -> list[ScratchLearner]:
    """One per number format, of the machine of this name, which changes its weights in one way."""
    return [ScratchLearner(LearningKey(name, precision), precision, "recipe", seed, make) for precision in precisions]


@dataclass(frozen=True)
class Backend(ABC):
    """A machine as the benchmark sees it. Fields of a subclass are its options on the command line."""

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    on_request: ClassVar[tuple[str, ...]] = ()
    """Precisions that run only where they are named."""
    learns: ClassVar[tuple[str, ...]] = ()
    """Precisions in which it learns from scratch; none: it does not learn."""
    updates: ClassVar[tuple[str, ...]] = ()
    """Ways to write a learnt change that it has a choice of."""
    clocked: ClassVar[bool] = False
    """Whether the wall time of the machine is its own: a processor, not a simulation of hardware."""
    torch_computes: ClassVar[bool] = False
    """Whether it is computed where `--device` says; else on the CPU."""
    panel: ClassVar[str] = "machine"
    """Under what title its options stand in the help."""
    block: ClassVar[str | None] = None
    """Under what name a row holds what only this machine tells (`details`); None: nothing."""

    def resolved(self) -> Backend:
        """The same with every option that a file decides which another option names; `ConfigError` where both do."""
        return self

    def quick(self) -> Backend:
        """The same with less to do, to see that everything works."""
        return self

    @abstractmethod
    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:
        """How to make the machine, or each of several (dies) over which answers are averaged."""

    @abstractmethod
    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:
        """Modelled costs of what a ledger counted; `wall_s` are measured seconds per image."""

    def pricer(self, key: RowKey, work: Workload) -> Callable[[Ledger], Prices]:
        """`prices` of one machine for many ledgers, where no wall time is known."""
        return lambda ledger: self.prices(ledger, key, work, 0.0)

    def course(self, machine: Any, images: Images) -> tuple[Settled, Callable[[int, int], Ledger]]:
        """Settle images together, with their trace; and the ledger of the same settle, had it been stopped after so
        many steps, or rows of times, with the readout looked at so often per image, once or each time.

        Ask for ledgers before the machine settles anything else.
        """
        settled = machine.settle(images, trace=True)
        return settled, lambda steps, looks: until(settled.ledger, steps, looks)

    def check(self, settling: Settling, state_bits: int) -> None:  # noqa: ARG002
        """Refuse options that cannot be used, before anything is loaded: ValueError names option, value, choices."""
        return

    def check_network(self, network: EPNetwork, settling: Settling, images: int) -> str | None:  # noqa: ARG002
        """What a user should know before so many images run on it; ValueError refuses a network that it cannot hold, or
        so many images at once, and names what and why."""
        return None

    def idle(self, precisions: Sequence[str]) -> dict[str, str]:  # noqa: ARG002
        """Options of its own, by flag, that change nothing in these precisions, and what they would need."""
        return {}

    def model(self, model: str) -> str:
        """The network that runs where `model` is asked for; ValueError where there is none of the kind asked for."""
        return model

    def points(self) -> tuple[Any, ...]:
        """The points of its sweep, as frozen dataclasses."""
        return (None,)

    def main_point(self) -> Any:
        """The point that is shown disturbed images too, and that the summary is about."""
        return None

    def published(self, point: Any) -> bool:  # noqa: ARG002
        """Whether the sources of the machine say how it is at this point; a row there is empty otherwise."""
        return True

    def machines(self) -> int:
        """How many machines `open` makes."""
        return 1

    def draws(self) -> int:
        """Times each machine settles all images, noise drawn anew."""
        return 1

    def coding(self, precision: str) -> Coding | None:  # noqa: ARG002
        """Which messages it puts on the wire; None where nothing is sent."""
        return "dense"

    def spikes(self, precision: str) -> bool:  # noqa: ARG002
        """Whether its messages carry no number: what they cause is added up and multiplied with nothing."""
        return False

    def together(self, machines: Sequence[Any]) -> Together | None:  # noqa: ARG002
        """The machines of a row as one that settles them all at once, which a GPU needs; None: it has no such."""
        return None

    def computed_on(self, torch_device: str) -> str:
        """Name of what computes it where torch computes on this device: cpu, or that of the board."""
        from bench.records.environment import device_name

        return device_name(torch_device if self.torch_computes else "cpu")

    def describe(self, machine: Any) -> Mapping[str, Any] | None:  # noqa: ARG002
        """What a machine says about itself, beside its answers."""
        return None

    def details(self, ledger: Ledger, described: list[Mapping[str, Any]], shares: list[float]) -> dict[str, Any] | None:  # noqa: ARG002
        """The block of a row, of JSON types: from the merged ledger, what machines said, and their accuracies."""
        return None

    def warning(self, network: EPNetwork) -> str | None:  # noqa: ARG002
        """What a user should know before a run begins, such as that it will take long."""
        return None

    def files(self) -> dict[str, str]:
        """Files of the user's that its options name, and their sha256: a run does not go on with others."""
        return {}

    def learners(
        self,
        conditions: Conditions,  # noqa: ARG002
        precisions: Sequence[str],  # noqa: ARG002
        updates: Sequence[str],  # noqa: ARG002
    ) -> list[ScratchLearner]:
        """The rows of learning from scratch in these precisions, none of a machine that does not learn.

        `updates` are ways to write a change; none: the machine's own choice.
        """
        return []
