"""What others published of the accuracy of a network while it settles, to be drawn beside ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedCurve:
    """Accuracy against the number of synchronous steps from zero."""

    name: str
    percent: dict[int, float]
    """Percent of the test images right, by step."""
    source: str


PUBLISHED = {
    "cifar10": PublishedCurve(
        name="Mansingh et al. 2024",
        percent={
            3: 10.0,
            4: 17.6,
            5: 19.3,
            6: 50.1,
            7: 51.0,
            8: 65.6,
            9: 67.1,
            10: 73.7,
            12: 78.4,
            15: 82.0,
            20: 85.4,
            25: 86.7,
            30: 87.30,
            40: 87.80,
            50: 88.06,
            60: 88.15,
            100: 88.16,
            250: 88.13,
        },
        source="Mansingh et al. 2024 (arXiv:2401.11543), channels 128-256-512-512 with max pooling, mean of 5 seeds, "
        "from the files Characteristic_Time.txt that its authors committed (github.com/lanl/AdvEP, 259a055)",
    ),
}
"""By data set."""
