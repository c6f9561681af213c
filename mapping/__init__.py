"""How a network gets onto a machine: quantize it to a `Program`, place it on cores, hand the circuit to the machine.

    EPNetwork --quantize--> Program --circuit_of--> hw.Circuit --to_digital, to_lava, to_crossbar, to_brian--> Machine

An `EPNetwork` runs in floating point, a `Program` in integers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "Program",
    "ProgramError",
    "circuit_of",
    "descent_of",
    "network_with",
    "program_with",
    "quantize",
    "scale_report",
    "to_brian",
    "to_crossbar",
    "to_digital",
    "to_lava",
]

if TYPE_CHECKING:
    from mapping.circuit import circuit_of
    from mapping.learning import descent_of, network_with, program_with
    from mapping.machines import to_brian, to_crossbar, to_digital, to_lava
    from mapping.program import Program, ProgramError
    from mapping.quantization import quantize, scale_report
else:
    HOMES = {
        "circuit_of": "circuit",
        "descent_of": "learning",
        "network_with": "learning",
        "program_with": "learning",
        "to_brian": "machines",
        "to_crossbar": "machines",
        "to_digital": "machines",
        "to_lava": "machines",
        "Program": "program",
        "ProgramError": "program",
        "quantize": "quantization",
        "scale_report": "quantization",
    }

    def __getattr__(name):
        """A public name, imported when it is first asked for (PEP 562)."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)

    def __dir__():
        return sorted({*globals(), *__all__})
