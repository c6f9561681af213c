"""What images are disturbed by, by name. Importing this loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence

GREY_SIGMAS, COLOUR_SIGMAS = (0.1, 0.2, 0.3), (0.04, 0.08, 0.1)
"""Standard deviation of the input noise, in units of the full scale; clipped to [0, 1]. Of colour images severities 1,
3 and 5 of CIFAR-10-C (Hendrycks & Dietterich 2019, arXiv:1903.12261)."""
GREY_EPSILONS, COLOUR_EPSILONS = (0.03, 0.1), (2 / 255, 8 / 255)
"""Radius of the Linf ball around an image: of those of `bench.robustness.suites`."""
ALL = "all"
"""What stands for all disturbances of the kind of images that are shown."""


def _named(kind: str, sizes: Sequence[float]) -> dict[str, float]:
    return {f"{kind}-{size:.2g}": size for size in sizes}


SIGMAS = _named("gaussian", sorted({*GREY_SIGMAS, *COLOUR_SIGMAS}))
"""By name."""
EPSILONS = _named("pgd-linf", sorted({*GREY_EPSILONS, *COLOUR_EPSILONS}))
"""By name."""
DISTURBANCES = (*SIGMAS, *EPSILONS)


def disturbances_of(channels: int) -> tuple[str, ...]:
    """Those of images with so many channels: one is grey."""
    sigmas, epsilons = (GREY_SIGMAS, GREY_EPSILONS) if channels == 1 else (COLOUR_SIGMAS, COLOUR_EPSILONS)
    return (*_named("gaussian", sigmas), *_named("pgd-linf", epsilons))


def chosen_disturbances(asked: Sequence[str], channels: int) -> tuple[str, ...]:
    """What a command line asks for, on images with so many channels."""
    return disturbances_of(channels) if tuple(asked) == (ALL,) else tuple(asked)
