"""What a machine did while it settled, counted while it did it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import reduce
from operator import add
from typing import TypeVar

from hw.events.analog import AnalogEvents
from hw.events.arithmetic import ArithmeticEvents
from hw.events.messages import MessageEvents
from hw.events.tiles import TileEvents

Part = TypeVar("Part")


@dataclass(frozen=True)
class Ledger:
    """Counted events of one settle, summed over its images; None of a kind that the machine does not have."""

    images: int
    """Number of images settled."""
    messages: MessageEvents | None = None
    """Of machines with steps: what was sent at each, and what that caused."""
    tiles: TileEvents | None = None
    """Of crossbars: reads and conversions."""
    arithmetic: ArithmeticEvents | None = None
    """Of clocked processors: multiply-accumulates and bytes."""
    analog: AnalogEvents | None = None
    """Of circuits that settle by themselves: heat and seconds."""

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError(f"a ledger of {self.images} images, expected at least 1")


def until(ledger: Ledger, steps: int, looks: int = 1) -> Ledger:
    """The ledger of the same settle, had it been stopped after `steps`, of a machine that counts messages alone.

    `looks` as of `MessageEvents.until`. Raises ValueError for events that are not kept step by step.
    """
    other = [name for name in ("tiles", "arithmetic", "analog") if getattr(ledger, name) is not None]
    if other:
        raise ValueError(f"the ledger has {other[0]!r}, which no ledger keeps step by step: ask the machine")
    return replace(ledger, messages=counted(ledger.messages, "messages").until(steps, looks))


def counted(part: Part | None, name: str) -> Part:
    """A part of a ledger that is needed; ValueError names one that its machine does not count."""
    if part is None:
        raise ValueError(f"the ledger has no {name!r}: this machine does not count them")
    return part


def merge(ledgers: list[Ledger]) -> Ledger:
    """The ledger of several settles on one machine, as if they had been one.

    Raises ValueError for no ledger, for events of different machines, and for a part that only some of them have.
    """
    if not ledgers:
        raise ValueError("no ledger to merge")
    parts = {}
    for name in (field.name for field in fields(Ledger) if field.name != "images"):
        present = [part for ledger in ledgers if (part := getattr(ledger, name)) is not None]
        if present and len(present) < len(ledgers):
            raise ValueError(f"ledgers of different machines: {len(present)} of {len(ledgers)} have {name!r}")
        parts[name] = reduce(add, present) if present else None
    return Ledger(images=sum(ledger.images for ledger in ledgers), **parts)
