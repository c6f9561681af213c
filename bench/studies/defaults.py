"""What a study does where the command line is silent; chosen on validation images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StudyDefaults:
    """Epochs, rates (one per link and one for the readout) and nudge of a study."""

    epochs: int
    learning_rates: tuple[float, ...]
    beta: float
    momentum: float = 0.0
    weight_decay: tuple[float, ...] | None = None


REPAIR = StudyDefaults(epochs=5, learning_rates=(0.05, 0.02, 0.2), beta=0.5)
"""Of the zoo's digits networks: two convolutions and a readout."""
REPAIR_RESISTORS = StudyDefaults(epochs=5, learning_rates=(0.02, 0.02, 0.0), beta=1.0)
"""Of drn-digits: two links, and a readout that is no part of the die."""
FLOATS = StudyDefaults(
    epochs=12, learning_rates=(0.08, 0.03, 0.3), beta=0.2, momentum=0.9, weight_decay=(1e-4, 1e-2, 3e-4)
)
SCRATCH = {
    "dies": StudyDefaults(epochs=20, learning_rates=(0.5, 0.5), beta=0.9),
    "float": FLOATS,
    "rate": FLOATS,
    "spikes": FLOATS,
    "resistive": StudyDefaults(epochs=12, learning_rates=(0.03, 0.03, 0.0), beta=1.0),
    "fixed": StudyDefaults(epochs=12, learning_rates=(0.4, 0.15, 1.5), beta=0.5),
}
"""Of learning from scratch. Dies: a dense network, whose output the first updates may drive below -beta, where it stays
at 0 in every phase and never learns again: rates of 0.5 lost classes so at beta 0.5, and lose none at 0.9; with a
squared error beta must stay below 1. Float, fixed, rate and spikes: the digits recipe; synapses of integers have no
momentum."""

STUCK = 0.025
"""Share of devices stuck on, and as many stuck off, that a repair starts from unless told otherwise."""
SWEPT_BETAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
QUICK_BETAS = (0.05, 0.5)
