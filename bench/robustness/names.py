"""What images are disturbed by, by name. Importing this loads nothing else."""

from __future__ import annotations

GAUSSIAN_SIGMAS = (0.1, 0.2, 0.3)
"""Standard deviation of the input noise, in units of the full scale; clipped to [0, 1]."""
PGD_EPSILONS = (0.03, 0.1)
"""Radius of the Linf ball around an image."""

GAUSSIANS = tuple(f"gaussian-{sigma}" for sigma in GAUSSIAN_SIGMAS)
ATTACKS = tuple(f"pgd-linf-{epsilon}" for epsilon in PGD_EPSILONS)
DISTURBANCES = (*GAUSSIANS, *ATTACKS)
