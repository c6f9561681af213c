"""Intervals of what a run measures: images are a sample, and so are dies.

Answers of D dies to the same N images are a crossed layout, right_di = p + die_d + image_i + rest_di, of which the mean
has the variance

    v = S_d^2 / D + S_i^2 / N - R / (D N),

with S_d^2 the variance of the means of dies, S_i^2 that of the means of images and R the mean square of what is neither
(Searle, Casella & McCulloch, Variance Components, 1992, section 4.3; Owen, Ann. Appl. Stat. 1:386, 2007; of readers and
cases: Gallas, Acad. Radiol. 13:353, 2006). Its interval is Wilson's at the effective number of images p (1 - p) / v
(Dean & Pagano, J. Surv. Stat. Methodol. 3:484, 2015), each part of v with the quantile of its own sample (Graybill &
Wang, J. Am. Stat. Assoc. 75:869, 1980), Student's of D - 1 degrees of freedom for dies and the normal one for images,

    q^2 v = t^2 S_d^2 / D + z^2 (v - S_d^2 / D):

it stays inside [0, 1], and dies that all answer every image right still are no proof of 100 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Z = 1.959963984540054
Interval = tuple[float, float]


def accuracy_interval(correct: int, images: int) -> Interval:
    """95 % Wilson score interval of an accuracy of one machine: inside [0, 1], and right for small counts too."""
    return _wilson(correct / images, images, Z)


@dataclass(frozen=True)
class Estimate:
    """A mean accuracy of dies, or of a single machine, over images."""

    share: float
    variance: float
    interval: Interval
    """95 %."""


def estimate(right: NDArray[np.floating] | NDArray[np.bool_]) -> Estimate:
    """Of answers (D, N): which machine was right about which image, or how often in several draws."""
    values = np.asarray(right, np.float64)
    dies, images = values.shape
    share, of_dies, of_images = float(values.mean()), values.mean(axis=1), values.mean(axis=0)
    from_images = float(of_images.var()) / images
    if dies == 1:
        effective = share * (1 - share) / from_images if from_images else images
        return Estimate(share, from_images, _wilson(share, effective, Z))
    rest = values - of_dies[:, None] - of_images + share
    from_rest = float((rest**2).sum()) / max((dies - 1) * (images - 1), 1) / (dies * images)
    from_dies = float(of_dies.var(ddof=1)) / dies
    variance = max(from_dies + from_images - from_rest, share * (1 - share) / (dies * images))
    return Estimate(share, variance, _two_level(share, variance, from_dies, dies, images))


def estimate_of_dies(shares: Sequence[float], images: int) -> Estimate:
    """Of accuracies of dies alone, where nobody kept which image was right: images count as if all dies got the same
    ones right, which is the most that they can add, v = S_d^2 / D + p (1 - p) / N."""
    dies, share = len(shares), float(np.mean(shares))
    from_images = share * (1 - share) / images
    if dies == 1:
        return Estimate(share, from_images, accuracy_interval(round(share * images), images))
    return _bounded(share, float(np.var(shares, ddof=1)) / dies, dies, images)


def estimate_of_student(share: float, interval: Interval, dies: int, images: int) -> Estimate:
    """Of an accuracy with Student's interval over dies, which left out that images are a sample as well."""
    low, high = interval
    half = max(share - low, high - share)  # the other end may have been cut at 0 or 1
    return _bounded(share, (half / _student(dies)) ** 2, dies, images)


def difference(after: NDArray[np.floating], before: NDArray[np.floating]) -> tuple[float, Interval]:
    """Difference of two accuracies over the same images, (D1, N) and (D2, N), and its 95 % interval.

    Newcombe's hybrid of the intervals (l, u) of both, for pairs (Statistics in Medicine 17:2635, 1998, method 10),

        d - sqrt((a - l_a)^2 - 2 phi (a - l_a) (u_b - b) + (u_b - b)^2)  to
        d + sqrt((u_a - a)^2 - 2 phi (u_a - a) (b - l_b) + (b - l_b)^2),

    phi = cov / (N sqrt(v_a v_b)) with cov the covariance over images, less 1 / (2 N) where it is positive: of single
    machines that is his corrected phi, of dies what both have in common is the images.
    """
    values = [np.asarray(right, np.float64) for right in (after, before)]
    one, other = (estimate(right) for right in values)
    shares = [right.mean(axis=0) for right in values]
    images = len(shares[0])
    covariance = float(np.mean((shares[0] - one.share) * (shares[1] - other.share)))
    if covariance > 0:
        covariance = max(covariance - 0.5 / images, 0.0)
    spread = sqrt(one.variance * other.variance)
    phi = min(max(covariance / images / spread, -1.0), 1.0) if spread else 0.0
    return one.share - other.share, _hybrid(one, other, phi)


def unpaired_difference(after: tuple[float, Interval], before: tuple[float, Interval]) -> Interval:
    """95 % interval of the difference of two accuracies, each with its interval, of other images: Newcombe's hybrid
    (Statistics in Medicine 17:873, 1998, method 10), that of `difference` with phi = 0."""
    return _hybrid(Estimate(after[0], 0.0, after[1]), Estimate(before[0], 0.0, before[1]), 0.0)


def mean_interval(values: Sequence[float]) -> tuple[float, Interval]:
    """Mean over dies and Student's 95 % interval of it; of a single die there is none, and it is the value itself."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, (mean, mean)
    half = _student(len(values)) * float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, (mean - half, mean + half)


def _student(sample: int) -> float:
    """Quantile of Student's distribution at 97.5 %, of a sample of so many; scipy.stats would take a second to load."""
    return float(stdtrit(sample - 1, 0.975))


def _hybrid(one: Estimate, other: Estimate, phi: float) -> Interval:
    (low_a, high_a), (low_b, high_b) = one.interval, other.interval
    change = one.share - other.share
    down, up = (one.share - low_a, high_b - other.share), (high_a - one.share, other.share - low_b)
    return change - _joined(*down, phi), change + _joined(*up, phi)


def _joined(one: float, other: float, phi: float) -> float:
    if phi == 0:
        return hypot(one, other)
    return sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))


def _bounded(share: float, from_dies: float, dies: int, images: int) -> Estimate:
    variance = from_dies + share * (1 - share) / images
    return Estimate(share, variance, _two_level(share, variance, from_dies, dies, images))


def _two_level(share: float, variance: float, from_dies: float, dies: int, images: int) -> Interval:
    if variance == 0:
        return _wilson(share, images, Z)
    of_dies = _student(dies)
    squared = (of_dies**2 * from_dies + Z**2 * max(variance - from_dies, 0.0)) / variance
    return _wilson(share, share * (1 - share) / variance, sqrt(squared))


def _wilson(share: float, images: float, z: float) -> Interval:
    """At an effective number of images, which need not be whole."""
    centre = share + z * z / (2 * images)
    half = z * sqrt(max(share * (1 - share) / images, 0.0) + z * z / (4 * images * images))
    scale = 1 + z * z / images
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
