"""When what happens while a batch is learnt from. Every process has it, so no message has to say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hw.learning.phases import UpdatePhases


@dataclass(frozen=True)
class Tick:
    """One Lava time step of a batch."""

    load: Literal["zero", "free"] | None = None
    """Layers do not step: they take the zero state, or the one at the end of the free phase."""
    beta: float = 0.0
    """Nudge of the last layer's step."""
    consumed: int | None = None
    """The step, from 0, that works on what is sent now; None where a phase has ended."""
    free_ends: bool = False
    """The free phase ends here."""
    ends: tuple[int, ...] = ()
    """UpdatePhases of the update that end here."""


def timetable(phases: UpdatePhases) -> tuple[Tick, ...]:
    """All ticks of a batch.

    Tick 0 loads, ticks 1..T are the free phase, and the first nudged phase follows at once, since the states it starts
    from are on their way. Every other one starts with a tick that sends the free states again.
    """
    free, nudged = phases.free_steps, phases.nudged_steps
    still = tuple(phase for phase, beta in enumerate(phases.betas) if beta == 0)
    ticks = [Tick(load="zero", consumed=0)]
    ticks += [Tick(consumed=step) for step in range(1, free)]
    ticks.append(Tick(consumed=free, free_ends=True, ends=still))
    step = free
    for phase, beta in enumerate(phases.betas):
        if beta == 0:
            continue
        if step > free:
            ticks.append(Tick(load="free", consumed=step))
        ticks += [Tick(beta=beta, consumed=step + done) for done in range(1, nudged)]
        ticks.append(Tick(beta=beta, ends=(phase,)))
        step += nudged
    return tuple(ticks)
