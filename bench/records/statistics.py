"""Intervals of what a run measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student


def accuracy_interval(correct: int, images: int) -> tuple[float, float]:
    """95 % Wilson score interval of an accuracy: stays inside [0, 1] and is right for small counts too."""
    z, share = 1.959963984540054, correct / images
    centre = share + z * z / (2 * images)
    half = z * np.sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    return max(0.0, float((centre - half) / scale)), min(1.0, float((centre + half) / scale))


def share_correct(counts: list[list[int]], images: int) -> tuple[float, tuple[float, float]]:
    """Mean accuracy of dies (each a list of draws) and its 95 % interval.

    Of one machine: Wilson's interval, for the images are a sample. Of several dies: Student's interval of the mean over
    dies, for the dies are the sample and the images those of the benchmark.
    """
    means = [float(np.mean(draws)) / images for draws in counts]
    if len(means) == 1:
        return means[0], accuracy_interval(round(means[0] * images), images)
    mean, (low, high) = mean_interval(means)
    return mean, (max(0.0, low), min(1.0, high))


def mean_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean over dies and Student's 95 % interval of it; of a single die there is none, and it is the value itself."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, (mean, mean)
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, (mean - half, mean + half)
