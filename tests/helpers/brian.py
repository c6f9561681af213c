"""What the tests of Brian share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hw.machine import Settled
from mapping.machines import to_brian


def settled(source: Any, images: Any, **options: Any) -> Settled:
    """The answer of a machine with these options, with its trace."""
    with to_brian(source, **options) as machine:
        return machine.settle(images, trace=True)


def worst(ours: Sequence[Any], theirs: Sequence[Any]) -> float:
    """Largest difference of any state."""
    return max(float(np.abs(mine - other).max()) for mine, other in zip(ours, theirs, strict=True))
