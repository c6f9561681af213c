"""Weather: snow, ice on the glass, fog, and too much light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.corruptions.drawing import Generators, Images, nearest_levels, normals, uniforms, whole_levels
from bench.corruptions.geometry import enlarging, plasma, smeared, through

SNOW = (
    (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
    (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
)
"""(mean and deviation of the flakes, their size, least brightness, radius and sigma of their fall, share of the image
that stays as it is)."""
FROST = ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
"""(of the image, of the ice)."""
FOG = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))
"""(strength, decay of the clouds)."""
LIGHTER = (0.05, 0.1, 0.15, 0.2, 0.3)
GREY = (0.299, 0.587, 0.114)
"""Of red, green and blue in brightness (ITU-R BT.601)."""
ICE = (0.87, 0.95, 1.0)
"""Colour of the ice."""


def snow(images: Images, severity: int, generators: Generators) -> Images:
    """Bright specks that fall aslant, and their mirror image, before a paler picture."""
    mean, deviation, size, least, radius, sigma, stays = SNOW[severity - 1]
    _, rows, columns, _ = images.shape
    flakes = (mean + deviation * normals(generators, (rows, columns)))[..., None]
    flakes = through(enlarging(rows, columns, size), flakes)
    flakes = whole_levels(np.where(flakes < least, 0, flakes).clip(0, 1))
    angles = 90 * uniforms(generators, ()) - 135
    fallen = nearest_levels(smeared(flakes, radius, sigma, angles))
    pale = np.maximum(images, 1.5 * _grey(images) + 0.5)
    return stays * images + (1 - stays) * pale + fallen + fallen[:, ::-1, ::-1]


def frost(images: Images, severity: int, generators: Generators) -> Images:
    """a x + b ice: the published weights a and b, but ice that is synthesised (`ice`), not photographed."""
    of_image, of_ice = FROST[severity - 1]
    frozen = ice(generators, images.shape[1], images.shape[2])[..., None] * np.array(ICE)
    return of_image * images + of_ice * (frozen if images.shape[3] == 3 else _grey(frozen))


def ice(generators: Generators, rows: int, columns: int) -> NDArray[np.float64]:
    """(B, rows, columns) in [0, 1]: a hazy cloud with bright veins where a second cloud passes its half.

    A stand-in for photographs of frozen windows: 0.25 + 0.35 cloud + 0.4 (1 - |2 cloud' - 1|)^4.
    """
    haze, veins = plasma(generators, rows, columns, 2.0), plasma(generators, rows, columns, 1.5)
    frozen: NDArray[np.float64] = 0.25 + 0.35 * haze + 0.4 * (1 - np.abs(2 * veins - 1)) ** 4
    return frozen


def fog(images: Images, severity: int, generators: Generators) -> Images:
    """(x + c clouds) m / (m + c), m the brightest value of the image: it stays the brightest that can be."""
    strength, decay = FOG[severity - 1]
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    clouds = plasma(generators, images.shape[1], images.shape[2], decay)[..., None]
    foggy: Images = (images + strength * clouds) * brightest / (brightest + strength)
    return foggy


def brightness(images: Images, severity: int, _: Generators) -> Images:
    """The value V = max(red, green, blue) of every pixel becomes min(V + c, 1), at the same hue and saturation."""
    value = images.max(axis=3, keepdims=True)
    lighter = np.minimum(value + LIGHTER[severity - 1], 1)
    scaled = images * np.divide(lighter, value, out=np.ones_like(value), where=value > 0)
    return np.where(value > 0, scaled, lighter)


def _grey(images: Images) -> Images:
    """(B, H, W, 1)."""
    if images.shape[3] == 1:
        return images
    grey: Images = (images @ np.array(GREY))[..., None]
    return grey
