"""Noise of sensors and of wires."""

from __future__ import annotations

import numpy as np

from bench.corruptions.drawing import Generators, Images, normals, uniforms

SIGMAS = (0.04, 0.06, 0.08, 0.09, 0.10)
PHOTONS = (500, 250, 100, 75, 50)
FLIPPED = (0.01, 0.02, 0.03, 0.05, 0.07)


def gaussian_noise(images: Images, severity: int, generators: Generators) -> Images:
    """clip(x + sigma n, 0, 1): low light."""
    return images + SIGMAS[severity - 1] * normals(generators, images.shape[1:])


def shot_noise(images: Images, severity: int, generators: Generators) -> Images:
    """Poisson(c x) / c, c photons of a white pixel: variance x / c."""
    photons = PHOTONS[severity - 1]
    caught = [one.poisson(photons * image) for one, image in zip(generators, images, strict=True)]
    return np.stack(caught) / photons


def impulse_noise(images: Images, severity: int, generators: Generators) -> Images:
    """Every value, with the chance given, becomes 0 or 1, each as often: salt and pepper."""
    drawn = uniforms(generators, (2, *images.shape[1:]))
    flipped, white = drawn[:, 0] < FLIPPED[severity - 1], drawn[:, 1] < 0.5
    return np.where(flipped, white.astype(np.float64), images)
