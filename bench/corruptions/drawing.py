"""What all corruptions are: functions of images in [0, 1], a severity and one generator for every image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float64]
"""(B, H, W, C)."""
Generators = Sequence[np.random.Generator]
"""One for every image; corruptions without chance draw nothing."""
Corruption = Callable[[Images, int, Generators], Images]


def normals(generators: Generators, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(B, *shape) standard normal."""
    return np.stack([one.standard_normal(shape) for one in generators])


def uniforms(generators: Generators, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(B, *shape) uniform in [0, 1)."""
    return np.stack([one.random(shape) for one in generators])


def whole_levels(images: Images) -> Images:
    """Truncated to grey levels of 1 / 255, as where the published script passes 8-bit images on."""
    levels: Images = np.floor(images * 255 + 1e-9) / 255
    return levels


def nearest_levels(images: Images) -> Images:
    """Rounded to the nearest grey level, as ImageMagick does."""
    levels: Images = np.floor(images * 255 + 0.5) / 255
    return levels
