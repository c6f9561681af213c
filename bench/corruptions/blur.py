"""Blur of lenses, of frosted glass, of cameras that move and that zoom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate, gaussian_filter

from bench.corruptions.drawing import Generators, Images, nearest_levels, uniforms, whole_levels
from bench.corruptions.geometry import enlarging, smeared, through

DISKS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))
"""(radius, sigma of its edge) in pixels."""
GLASS = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
"""(sigma in pixels, how often pixels move); they move by one pixel at most at all severities."""
MOTION = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))
"""(radius, sigma) in pixels."""
ZOOMS = (1.06, 1.11, 1.16, 1.21, 1.26)
"""The largest; from 1 on in steps of 0.01."""


def defocus_blur(images: Images, severity: int, _: Generators) -> Images:
    """Correlation with a disk whose edge is smoothed; mirrored at the border (dcb|abcd)."""
    return correlate(images, disk(*DISKS[severity - 1])[None, :, :, None], mode="mirror")


def disk(radius: float, sigma: float) -> NDArray[np.float64]:
    """A disk of that radius, of sum 1, smoothed by a Gaussian of 3 x 3 pixels: (K, K) with K odd."""
    reach = int(radius) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    hard = (rows**2 + columns**2 <= radius**2).astype(np.float64)
    edge = np.exp(-(np.array([-1.0, 0.0, 1.0]) ** 2) / (2 * sigma**2))
    edge /= edge.sum()
    smooth: NDArray[np.float64] = correlate(hard / hard.sum(), np.outer(edge, edge), mode="constant")
    return smooth


def glass_blur(images: Images, severity: int, generators: Generators) -> Images:
    """A Gaussian; then every pixel takes its own value or one from beside it, above or left; then the Gaussian again.

    The published script means to swap two pixels, but what it assigns are views, so that only one of them changes. The
    first two rows and columns stay. Between the two Gaussians images are truncated to 8 bits.
    """
    sigma, times = GLASS[severity - 1]
    moved = whole_levels(_blurred(images, sigma))
    count, rows, columns, _ = images.shape
    back = (uniforms(generators, (times, 2, rows - 2, columns - 2)) < 0.5).astype(np.int64)
    at = np.arange(count)[:, None, None]
    for time in range(times):
        row = np.arange(2, rows)[:, None] - back[:, time, 0]
        column = np.arange(2, columns) - back[:, time, 1]
        moved[:, 2:, 2:] = moved[at, row, column]
    return _blurred(moved, sigma)


def motion_blur(images: Images, severity: int, generators: Generators) -> Images:
    """Half a Gaussian along a line at an angle of -45 to 45 degrees, as ImageMagick does."""
    radius, sigma = MOTION[severity - 1]
    angles = 90 * uniforms(generators, ()) - 45
    return nearest_levels(smeared(images, radius, sigma, angles))


def zoom_blur(images: Images, severity: int, _: Generators) -> Images:
    """The mean of the image and of the image enlarged by all factors from 1 to the largest."""
    factors = np.arange(1, ZOOMS[severity - 1], 0.01)
    rows, columns = images.shape[1:3]
    total = sum(enlarging(rows, columns, float(factor)) for factor in factors)
    return (images + through(total, images)) / (len(factors) + 1)


def _blurred(images: Images, sigma: float) -> Images:
    blurred: Images = gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")
    return blurred
