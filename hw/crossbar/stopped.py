"""What a die would have done, had it been stopped before it came to rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hw.crossbar.counting import settle_events
from hw.crossbar.machine import Crossbar
from hw.events.tiles import NO_WRITES
from hw.ledger import Ledger, counted


def until(machine: Crossbar, ledger: Ledger, steps: int, looks: int = 1) -> Ledger:
    """The ledger of the last settle of a die, of one batch, had that been stopped after `steps`.

    The readout was then read `looks` times per image, once or at every step. Call it before the die settles anything
    else: what its tiles did is kept until then.
    """
    if looks not in (1, steps):
        raise ValueError(f"looks is {looks}, must be 1 or the {steps} steps")
    taken = np.full(ledger.images, steps)
    with machine.lock:
        events = settle_events(machine.chip(), taken, NO_WRITES, looked=looks > 1)
    return replace(ledger, messages=counted(ledger.messages, "messages").until(steps, looks), tiles=events)
