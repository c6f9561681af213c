"""What machines do: the digital reference, Lava processes, and what their work costs.

Every machine obeys the protocol of `hw.machine` and writes down its work in a `hw.ledger.Ledger` while it works.
Nothing here knows an `EPNetwork` or a `Program`: `mapping` translates those into what a machine takes. What Lava forks
passes through here: importing this imports nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["Circuit", "Ledger", "Machine", "Settled"]

if TYPE_CHECKING:
    from hw.circuit import Circuit
    from hw.ledger import Ledger
    from hw.machine import Machine, Settled
else:
    HOMES = {"Circuit": "circuit", "Ledger": "ledger", "Machine": "machine", "Settled": "machine"}

    def __getattr__(name):
        """A public name, imported when it is first asked for (PEP 562)."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)

    def __dir__():
        return sorted({*globals(), *__all__})
