"""What happens to pictures on a computer: contrast, stretching, few pixels, JPEG."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.corruptions.drawing import Generators, Images, uniforms
from bench.corruptions.geometry import sampled

CONTRASTS = (0.75, 0.5, 0.4, 0.3, 0.15)
ELASTIC = ((0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))
"""(strength of the waves, their smoothness, how far three corners move), all of the length of a side."""
SHRUNK = (0.95, 0.9, 0.85, 0.75, 0.65)
QUALITIES = (80, 65, 58, 50, 40)


def contrast(images: Images, severity: int, _: Generators) -> Images:
    """m + c (x - m), m the mean of the colour over the image."""
    means = images.mean(axis=(1, 2), keepdims=True)
    flat: Images = means + CONTRASTS[severity - 1] * (images - means)
    return flat


def elastic_transform(images: Images, severity: int, generators: Generators) -> Images:
    """An affine map that takes three points about the middle to places nearby, then waves of random, smooth shifts."""
    _, rows, columns, _ = images.shape
    side = min(rows, columns)
    strength, smoothness, corners = (side * part for part in ELASTIC[severity - 1])
    drawn = 2 * uniforms(generators, (6 + 2 * rows * columns,)) - 1
    grid = np.mgrid[:rows, :columns].astype(np.float64)
    turned = np.stack([_affine(moves.reshape(3, 2) * corners, (rows, columns)) for moves in drawn[:, :6]])
    source = np.einsum("bij,jrc->birc", turned[:, :, :2], grid) + turned[:, :, 2, None, None]
    images = sampled(images, source[:, 0], source[:, 1], "mirror")
    noise = drawn[:, 6:].reshape(-1, 2, rows, columns)
    waves = strength * gaussian_filter(noise, (0, 0, smoothness, smoothness), mode="reflect", truncate=3)
    return sampled(images, grid[0] + waves[:, 0], grid[1] + waves[:, 1], "reflect")


def pixelate(images: Images, severity: int, _: Generators) -> Images:
    """Shrunk to so many pixels a side, by the means of boxes, and enlarged again."""
    rows, columns = images.shape[1:3]
    few = (int(columns * SHRUNK[severity - 1]), int(rows * SHRUNK[severity - 1]))

    def coarse(picture: Image.Image) -> Image.Image:
        return picture.resize(few, Image.Resampling.BOX).resize((columns, rows), Image.Resampling.BOX)

    return _each(images, coarse)


def jpeg_compression(images: Images, severity: int, _: Generators) -> Images:
    """Written as JPEG of that quality, and read again."""

    def compressed(picture: Image.Image) -> Image.Image:
        file = BytesIO()
        picture.save(file, "JPEG", quality=QUALITIES[severity - 1])
        return Image.open(file)

    return _each(images, compressed)


def _each(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """Every image as Pillow changes it, in 8 bits."""
    levels = np.floor(images * 255 + 0.5).astype(np.uint8)
    pictures = [Image.fromarray(one if one.shape[2] == 3 else one[..., 0]) for one in levels]
    return np.stack([np.asarray(change(picture)) for picture in pictures]).reshape(images.shape) / 255


def _affine(moves: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """(2, 3): from places after the map to those before it, A p + t; `moves` (3, 2) are those of the three points."""
    middle, arm = np.array(size) // 2, min(size) // 3
    before = middle + arm * np.array([[1, 1], [-1, 1], [-1, -1]])
    after = np.hstack([before + moves, np.ones((3, 1))])
    solved: NDArray[np.float64] = np.linalg.solve(after, before).T
    return solved
