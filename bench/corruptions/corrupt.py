"""One function for all corruptions, by name: what is asked is checked, images are taken in parts, each seeded."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bench.corruptions.blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from bench.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate
from bench.corruptions.drawing import Corruption
from bench.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from bench.corruptions.weather import brightness, fog, frost, snow

STYLE = "CIFAR-10-C-style"
"""What figures on such images are called."""
SEVERITIES = (1, 2, 3, 4, 5)
PART = 250
"""Images at once."""
ABOVE = 1e-4
"""Grey levels: what rounding alone left so little below a whole one counts as that. Published arrays were truncated."""

_MADE_BY: dict[str, dict[str, Corruption]] = {
    "noise": {"gaussian_noise": gaussian_noise, "shot_noise": shot_noise, "impulse_noise": impulse_noise},
    "blur": {
        "defocus_blur": defocus_blur,
        "glass_blur": glass_blur,
        "motion_blur": motion_blur,
        "zoom_blur": zoom_blur,
    },
    "weather": {"snow": snow, "frost": frost, "fog": fog, "brightness": brightness},
    "digital": {
        "contrast": contrast,
        "elastic_transform": elastic_transform,
        "pixelate": pixelate,
        "jpeg_compression": jpeg_compression,
    },
}
FAMILIES: dict[str, tuple[str, ...]] = {family: tuple(made) for family, made in _MADE_BY.items()}
"""The four families of the paper, and which corruptions belong to each."""
CORRUPTIONS: tuple[str, ...] = tuple(name for names in FAMILIES.values() for name in names)
"""All names, in the order of the paper."""


def corrupt(
    images: NDArray[np.uint8],
    name: str,
    severity: int,
    seed: int = 0,
    *,
    indices: Sequence[int] | NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """The images, corrupted.

    Args:
        images: (N, H, W, C) uint8 from 0 to 255, C 3 (red, green, blue) or 1; or (N, H, W), grey.
        name: one of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: from 0, of all random numbers.
        indices: (N,) which image of its set each one is; 0 to N - 1 if not given.

    Returns:
        uint8 of the shape of `images`, made anew.

    Raises:
        ValueError: images of another type or shape, an unknown name or severity, a seed or an index below 0, or another
            number of indices; the message has the value and what was expected.
    """
    places = _checked(images, name, severity, seed, indices)
    made = {key: value for family in _MADE_BY.values() for key, value in family.items()}[name]
    colours = images if images.ndim == 4 else images[..., None]
    out = np.empty_like(colours, order="C")
    for start in range(0, len(colours), PART):
        part = slice(start, start + PART)
        generators = [np.random.default_rng([seed, crc32(name.encode()), severity, int(at)]) for at in places[part]]
        changed = made(colours[part] / 255.0, severity, generators)
        out[part] = np.floor(np.clip(changed, 0, 1) * 255 + ABOVE).astype(np.uint8)
    return out.reshape(images.shape)


def _checked(
    images: NDArray[np.uint8],
    name: str,
    severity: int,
    seed: int,
    indices: Sequence[int] | NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    form = f"{getattr(images, 'shape', type(images).__name__)} {getattr(images, 'dtype', '')}".strip()
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(f"images are {form}, expected an array (N, H, W, C) or (N, H, W) of uint8")
    if not len(images) or (images.ndim == 4 and images.shape[3] not in (1, 3)) or min(images.shape[1:3]) < 8:
        raise ValueError(f"images are {form}, expected at least one of 8 x 8 pixels or more in 1 or 3 colours, last")
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption {name!r} is unknown, choose from {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity is {severity!r}, choose from {', '.join(map(str, SEVERITIES))}")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected a number from 0")
    places = np.arange(len(images)) if indices is None else np.asarray(indices)
    if places.shape != (len(images),) or places.dtype.kind not in "iu" or places.min() < 0:
        raise ValueError(f"indices are {places.shape} {places.dtype}, expected ({len(images)},) whole numbers from 0")
    return places
