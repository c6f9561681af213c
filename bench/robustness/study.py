"""What is studied: a network, images, attacks, machines, and what all rows of it have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.corruptions import corrupt
from bench.machines.backend import Backend, RowKey, Workload
from bench.records.environment import device_name
from bench.records.robust_row import RobustRow
from bench.records.statistics import estimate
from bench.robustness.attacks.official import official_is_here
from bench.robustness.attacks.target import Target
from bench.robustness.hardware import Right
from bench.robustness.suites import STRONGEST, TO_THE_END, Means, Radii, Suite, Trial, trials_of
from bench.robustness.trials import Plan
from bench.robustness.victim import Victim
from models.data import Dataset, ImageSet
from models.files.provenance import now, this_program

AT_ONCE = 100
JUDGED_ON = 50
"""Images by which the quickest way to the same answers is found."""

Rows = Iterator[RobustRow]


@dataclass(frozen=True)
class Study:
    """What is attacked, by what, and which machines are shown what was found."""

    model: str
    data: str
    victim: Victim
    dataset: Dataset
    chosen: Tensor
    """Indices of the test images, balanced over classes."""
    suite: Suite
    radii: Radii
    seed: int
    device: str
    others: Mapping[str, Victim]
    """Networks that attacked images are shown to as well."""
    machines: tuple[tuple[Backend, RowKey], ...]
    work: Workload | None
    """For machines; None where there are none."""
    folder: Path
    origin: dict[str, Any]

    @cached_property
    def target(self) -> Target:
        """The images."""
        images, labels = self.dataset.test.batch(self.chosen)
        return self.victim.target(images.to(self.device), labels.to(self.device))

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """All of them."""
        names = tuple(self.victim.gradients())
        means = Means(names, self.victim.exact, tuple(self.others), official_is_here(), bool(self.machines))
        return trials_of(self.suite, self.radii, means)

    @cached_property
    def strongest(self) -> tuple[Trial, ...]:
        """PGD to the end in the ball of each norm at which most is shown."""
        middle = self.radii.middle()
        return tuple(trial for trial in self.trials if trial.attack == STRONGEST and trial.ball in middle)

    @cached_property
    def shown(self) -> tuple[Trial, ...]:
        """Whose images machines are shown."""
        return tuple(trial for trial in self.trials if trial.attack in TO_THE_END)

    @cached_property
    def plan(self) -> Plan:
        """For trials."""
        folder = self.folder / "trials"
        return Plan(self.victim, self.target, self.seed, self.suite.targets, folder, self.origin, self.others)

    def row(self, right: Right, clean: float, **told: Any) -> RobustRow:
        """A row of answers (machines, N)."""
        found = estimate(right)
        basis = {"model": self.model, "backend": "torch", "precision": "float", "feedback": self.victim.settles}
        basis |= {"device": device_name(self.device)}
        return RobustRow(
            **{**basis, **told},
            data=self.data,
            seed=self.seed,
            images=right.shape[1],
            accuracy=found.share,
            accuracy_ci95=found.interval,
            clean=clean,
            answers=written(right),
            made_by=this_program(),
            date=now(),
        )


@torch.no_grad()
def answered(victim: Victim, images: Tensor, labels: Tensor) -> Right:
    """(1, N) which of the images are answered right."""
    wrong = victim.judge(images[:JUDGED_ON], labels[:JUDGED_ON])
    right = [~wrong(*part) for part in zip(images.split(AT_ONCE), labels.split(AT_ONCE), strict=True)]
    return torch.cat(right).cpu().numpy()[None].astype(np.float64)


def corruptible(images: ImageSet) -> bool:
    """Whether natural corruptions are defined for them: 8-bit images."""
    return images.pixels.dtype == torch.uint8 and images.scale == 255


def written(right: Right) -> str:
    """Answers as characters: the mean over machines in tenths, to the nearest, X for ten of them."""
    return "".join("X" if tenths == 10 else str(tenths) for tenths in (10 * right.mean(axis=0)).round().astype(int))


def spread(study: Study, count: int) -> NDArray[np.int64]:
    """Indices of so many test images, from the first: an order that is random and fixed."""
    return np.arange(min(count, len(study.dataset.test)))


def floats(study: Study, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """These test images and their labels."""
    images, labels = study.dataset.test.batch(torch.from_numpy(indices))
    return images.to(study.device), labels.to(study.device)


def made(study: Study, indices: NDArray[np.int64], name: str, severity: int) -> tuple[Tensor, Tensor]:
    """Corrupted images and their labels."""
    test = study.dataset.test
    pixels = test.pixels[torch.from_numpy(indices)].numpy().transpose(0, 2, 3, 1)
    changed = corrupt(np.ascontiguousarray(pixels), name, severity, study.seed, indices=indices)
    images = torch.from_numpy(np.ascontiguousarray(changed.transpose(0, 3, 1, 2))).float() / 255
    return images.to(study.device), test.labels[torch.from_numpy(indices)].to(study.device)
