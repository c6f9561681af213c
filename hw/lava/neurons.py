"""The hard-sigmoid neuron in both number formats: drives (*shape, B), biases that broadcast to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def float_neuron(drive: NDArray[np.float32], bias: NDArray[np.float32]) -> NDArray[Any]:
    """s = clip(a + b, 0, 1) in float32, written into `drive`."""
    drive += bias
    return np.clip(drive, 0.0, 1.0, out=drive)


def fixed_neuron(drive: NDArray[np.int32], bias: NDArray[np.int32], exponent: int, one: int) -> NDArray[np.int16]:
    """s = clip((u + b) >> exponent, 0, one); 24-bit u and b, the half for rounding is in b. Overwrites `drive`."""
    drive += bias
    drive >>= exponent
    return np.clip(drive, 0, one, out=drive).astype(np.int16)


def float_output(drive: NDArray[np.float32], bias: NDArray[np.float32], beta: float) -> NDArray[Any]:
    """Last layer under a squared error, s = clip((a + b) / (1 + beta), 0, 1), where a holds the pull beta y."""
    drive += bias
    drive /= 1 + beta
    return np.clip(drive, 0.0, 1.0, out=drive)


def fixed_output(
    drive: NDArray[np.int32], bias: NDArray[np.int32], exponent: int, one: int, beta: float
) -> NDArray[np.int16]:
    """The same in integers; the half that rounds is not divided with the rest."""
    top = 2.0**exponent
    nudged = (drive.astype(np.float64) + bias - top / 2) / (1 + beta)
    return np.clip(np.floor(nudged / top + 0.5), 0, one).astype(np.int16)
