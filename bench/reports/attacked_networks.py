"""The picture of what attacks make of the same images on several networks: do people see it too?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor

from bench.reports.figures import new_figure, save_figure

SIDE = 0.95
"""Inches of an image."""


@dataclass(frozen=True)
class Shown:
    """What was found on one network."""

    name: str
    images: Tensor
    """(N, C, H, W)."""
    answers: tuple[int, ...]


def draw_side_by_side(clean: Tensor, labels: Sequence[int], networks: Sequence[Shown], title: str, file: Path) -> None:
    """Clean images in the first line; below, for each network, what was found with its answer, and what was added,
    stretched to the whole range: grey is nothing."""
    lines, count = 1 + 2 * len(networks), len(labels)
    figure = new_figure(SIDE * count + 2.2, SIDE * 1.12 * lines + 0.6)
    grid = figure.subplots(lines, count, squeeze=False)
    for axes, image, label in zip(grid[0], clean, labels, strict=True):
        _image(axes, image, f"class {label}")
    _name(grid[0][0], "clean")
    for number, network in enumerate(networks):
        made, added = grid[1 + 2 * number], grid[2 + 2 * number]
        change = network.images - clean
        size = change.abs().flatten(1).amax(dim=1).clamp(min=1e-9)[:, None, None, None]
        marked = zip(network.answers, labels, strict=True)
        titles = [f"{answer}" if answer == label else f"{answer} !" for answer, label in marked]
        for place, told in enumerate(titles):
            _image(made[place], network.images[place], told)
            _image(added[place], 0.5 + 0.5 * change[place] / size[place], "")
        _name(made[0], network.name)
        _name(added[0], "added")
    figure.suptitle(title, fontsize=10)
    save_figure(figure, file)


def _image(axes: Axes, image: Tensor, title: str) -> None:
    picture = image.permute(1, 2, 0).cpu().numpy()
    axes.imshow(picture if picture.shape[2] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=8, pad=2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _name(axes: Axes, name: str) -> None:
    words = name.removeprefix("hw-cifar10-short-").replace(" (", "\n(")
    axes.set_ylabel(words, fontsize=8, rotation=0, ha="right", va="center")


def spread_over(labels: Tensor, count: int) -> Tensor:
    """Indices of so many images, one of a class after another."""
    first = [(labels == label).nonzero()[:1, 0] for label in labels.unique().tolist()]
    return torch.cat(first)[:count]
