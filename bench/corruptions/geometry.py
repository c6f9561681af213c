"""Maps of the plane that several corruptions use: enlarging, smearing along a line, sampling, and fractal clouds."""

from __future__ import annotations

from functools import cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from scipy.sparse import csr_array, kron

from bench.corruptions.drawing import Generators, Images, uniforms


@cache
def enlarging(rows: int, columns: int, factor: float) -> csr_array:
    """(rows columns, rows columns): the middle of an image, enlarged bilinearly to its size."""
    return csr_array(kron(csr_array(_along(rows, factor)), csr_array(_along(columns, factor))))


def through(operator: csr_array, images: Images) -> Images:
    """A linear map of planes (H W, H W), applied to every colour of images."""
    count, rows, columns, colours = images.shape
    flat = images.reshape(count, rows * columns, colours).transpose(1, 0, 2).reshape(rows * columns, -1)
    mapped = (operator @ flat).reshape(rows * columns, count, colours).transpose(1, 0, 2)
    return np.ascontiguousarray(mapped).reshape(images.shape)


def smeared(images: Images, radius: int, sigma: float, degrees: NDArray[np.float64]) -> Images:
    """sum_i k_i x(p + i (cos, sin) rounded), k_i as exp(-i^2 / (2 sigma^2)), sum 1, i = 0 .. 2 radius.

    What MagickMotionBlurImage computes for every image, at its angle of (B,); beyond the border lies the border.
    """
    taps = np.arange(2 * radius + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    weights /= weights.sum()
    _, rows, columns, _ = images.shape
    reach = 2 * radius + 1
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    out = np.zeros_like(images)
    for index, angle in enumerate(np.radians(degrees)):
        down = np.ceil(taps * np.sin(angle) - 0.5).astype(int) + reach
        right = np.ceil(taps * np.cos(angle) - 0.5).astype(int) + reach
        for weight, row, column in zip(weights, down, right, strict=True):
            out[index] += weight * padded[index, row : row + rows, column : column + columns]
    return out


def sampled(images: Images, rows: NDArray[np.float64], columns: NDArray[np.float64], border: str) -> Images:
    """Bilinear values at rows and columns (B, H, W) of every image; beyond the border lies the mirror image.

    `border` is "mirror", about the middle of the outermost pixels (dcb|abcd), or "reflect", about their edge (cba|abc).
    """
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    at = np.arange(len(images))[:, None, None]
    _, height, width, _ = images.shape

    def corner(row: NDArray[np.int64], column: NDArray[np.int64]) -> Images:
        return images[at, _folded(row, height, border), _folded(column, width, border)]

    upper = corner(top, left) * (1 - right) + corner(top, left + 1) * right
    lower = corner(top + 1, left) * (1 - right) + corner(top + 1, left + 1) * right
    return np.asarray(upper * (1 - down) + lower * down)


def plasma(generators: Generators, rows: int, columns: int, decay: float) -> NDArray[np.float64]:
    """(B, rows, columns) clouds from 0 to 1: the diamond-square fractal on a torus of 2^k points a side.

    Every point is the mean of the four around it, of the step before, plus w^2 u, u uniform in (-1, 1); w is 100 at
    first and falls by `decay` with every halving of the step. (The square is the published script's.)
    """
    size = 1 << (max(rows, columns) - 1).bit_length()
    drawn = 2 * uniforms(generators, (size * size - 1,)) - 1
    clouds = np.zeros((len(drawn), size, size))
    step, wibble, used = size, 100.0, 0

    def jitter(means: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal used
        count = means[0].size
        used += count
        values: NDArray[np.float64] = means + wibble**2 * drawn[:, used - count : used].reshape(means.shape)
        return values

    while step >= 2:
        half = step // 2
        corners = clouds[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        clouds[:, half::step, half::step] = jitter((pairs + np.roll(pairs, -1, axis=2)) / 4)
        middles = clouds[:, half::step, half::step]
        along_rows = corners + np.roll(corners, -1, axis=2) + middles + np.roll(middles, 1, axis=1)
        clouds[:, ::step, half::step] = jitter(along_rows / 4)
        along_columns = corners + np.roll(corners, -1, axis=1) + middles + np.roll(middles, 1, axis=2)
        clouds[:, half::step, ::step] = jitter(along_columns / 4)
        step, wibble = half, wibble / decay
    low, high = (extreme(clouds, axis=(1, 2), keepdims=True) for extreme in (np.min, np.max))
    scaled: NDArray[np.float64] = ((clouds - low) / (high - low))[:, :rows, :columns]
    return scaled


def _along(size: int, factor: float) -> NDArray[np.float64]:
    """(size, size): the middle of a line of pixels, as many as fill it when enlarged, interpolated linearly."""
    kept = ceil(size / factor)
    first = (size - kept) // 2
    enlarged = zoom(np.eye(kept), (factor, 1), order=1, mode="nearest")
    trim = (len(enlarged) - size) // 2
    matrix = np.zeros((size, size))
    matrix[:, first : first + kept] = enlarged[trim : trim + size]
    return matrix


def _folded(places: NDArray[np.int64], size: int, border: str) -> NDArray[np.int64]:
    """Places on the line, brought back between 0 and size - 1."""
    if border == "mirror":
        period = 2 * (size - 1)
        inside = np.abs((places + size - 1) % period - (size - 1))
    else:
        period = 2 * size
        inside = places % period
        inside = np.minimum(inside, period - 1 - inside)
    folded: NDArray[np.int64] = inside
    return folded
