"""How far the nearest wrong answer is, to first order: what smoothness alone predicts of robustness.

With z the scores and J = dz/dx = R D (1 - J_s D)^-1 D U the Jacobian of the settle at the image (J_s the links between
layers; adjoint: `models.ep.adjoint`), the answer y changes along a straight way at the distance

    rho_2 = min_k (z_y - z_k) / |J_y - J_k|_2,      rho_inf = min_k (z_y - z_k) / |J_y - J_k|_1

in L2 and Linf (Hein & Andriushchenko 2017, arXiv:1705.08475). If feedback protects by anything but this smoothness,
networks with feedback lie above the line that others make of robust accuracy against the median of rho.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.robustness.ball import lengths
from bench.robustness.slopes.slope import Slope
from bench.robustness.victim import Victim


@dataclass(frozen=True)
class Reach:
    """Of images (N,) that are answered right: distances to first order, and norms of the slope of the nearest lead."""

    l2: Tensor
    linf: Tensor
    slope_l2: Tensor

    def median(self) -> dict[str, float]:
        """Over images."""
        found = {"l2": self.l2, "linf": self.linf, "slope_l2": self.slope_l2}
        return {name: float(values.median()) for name, values in found.items()}


def reach(victim: Victim, images: Tensor, labels: Tensor) -> Reach:
    """Of the images that are answered right, by one gradient for every other class."""
    slope = victim.gradient(victim.exact, images, labels)
    with torch.no_grad():
        scores = victim.predict(images)
    right = scores.argmax(dim=1) == labels
    images, labels, scores = images[right], labels[right], scores[right]
    nearest = {norm: images.new_full((len(images),), torch.inf) for norm in ("L2", "Linf")}
    steepness = images.new_zeros(len(images))
    for other in range(scores.shape[1]):
        slopes = _of_lead(slope, images, labels, other)
        ahead = scores.gather(1, labels[:, None])[:, 0] - scores[:, other]
        sizes = {"L2": lengths(slopes, "L2"), "Linf": slopes.abs().flatten(1).sum(dim=1)}
        for norm, size in sizes.items():
            distance = torch.where(labels == other, torch.inf, ahead / size.clamp(min=1e-30))
            if norm == "L2":
                steepness = torch.where(distance < nearest[norm], size, steepness)
            nearest[norm] = torch.minimum(nearest[norm], distance)
    return Reach(nearest["L2"], nearest["Linf"], steepness)


def _of_lead(slope: Slope, images: Tensor, labels: Tensor, other: int) -> Tensor:
    """d (z_other - z_y) / dx, batch by batch."""
    found = []
    for chosen in torch.arange(len(images)).split(50):

        def loss(scores: Tensor, truth: Tensor = labels[chosen]) -> Tensor:
            return scores[:, other] - scores.gather(1, truth[:, None])[:, 0]

        found.append(slope(images[chosen], loss)[1])
    return torch.cat(found)
