"""Labelled images, and the three splits a model is trained, chosen and judged on."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class ImageSet:
    """N labelled images, kept as the integers they were published in: a quarter of the memory of float32.

    image = pixels / scale, float32 in [0, 1]
    """

    pixels: torch.Tensor
    """(N, C, H, W) uint8, row 0 at the top, colours red, green, blue; or float32 in [0, 1] with the scale 1, for images
    that never were integers."""
    labels: torch.Tensor
    """(N,) int64."""
    scale: int
    """The pixel value of full brightness: 255, or 16 for digits."""

    def __post_init__(self) -> None:
        if self.pixels.dtype not in (torch.uint8, torch.float32) or self.pixels.ndim != 4 or len(self.pixels) == 0:
            form = f"{tuple(self.pixels.shape)} {self.pixels.dtype}"
            raise ValueError(f"pixels are {form}, expected (N, C, H, W) torch.uint8 or torch.float32 with N > 0")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.pixels.shape[:1]:
            form = f"{tuple(self.labels.shape)} {self.labels.dtype}"
            raise ValueError(f"labels are {form}, expected ({len(self.pixels)},) torch.int64, one per image")
        if self.pixels.dtype == torch.float32:
            low, high = float(self.pixels.min()), float(self.pixels.max())
            if self.scale != 1 or not (low >= 0 and high <= 1):  # false for NaN too
                raise ValueError(f"pixels are floats {low:g}..{high:g} of scale {self.scale}, expected 0..1 of scale 1")
            return
        if not 1 <= self.scale <= 255:
            raise ValueError(f"scale {self.scale} is not in 1..255")
        if self.scale < 255 and int(self.pixels.max()) > self.scale:
            raise ValueError(f"pixel value {int(self.pixels.max())} exceeds the scale {self.scale}")

    def __repr__(self) -> str:
        return f"{len(self)} images of {self.shape}, {self.pixels.dtype} up to {self.scale}"

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images (B, C, H, W) float32 in [0, 1] and labels (B,) at `indices` (B,) int64."""
        return _brightness(self.pixels[indices], self.scale), self.labels[indices]

    def floats(self) -> torch.Tensor:
        """All images, (N, C, H, W) float32 in [0, 1]: 614 MB for the 50,000 of CIFAR, so batch those instead."""
        return _brightness(self.pixels, self.scale)

    def select(self, indices: torch.Tensor) -> ImageSet:
        """The images at `indices` (B,) int64, in that order (a copy)."""
        return ImageSet(self.pixels[indices], self.labels[indices], self.scale)

    def at_most(self, count: int) -> ImageSet:
        """The first so many images, or all where there are fewer."""
        return self.first(min(count, len(self)))

    def first(self, n: int) -> ImageSet:
        """The first n images (a view): the same ones for everybody who asks for n."""
        if not 1 <= n <= len(self):
            raise ValueError(f"the first {n} of {len(self)} images: expected 1..{len(self)}")
        return ImageSet(self.pixels[:n], self.labels[:n], self.scale)

    def to(self, device: torch.device | str) -> ImageSet:
        """The same images on `device`, kept as they are here."""
        return ImageSet(self.pixels.to(device), self.labels.to(device), self.scale)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named set of images with its splits, which share no image."""

    name: str
    """One of `DATASETS`, or the path of your own."""
    classes: int
    """Labels are 0..classes - 1."""
    train: ImageSet
    """What weights are learned from."""
    validation: ImageSet
    """What models and settings are chosen by."""
    test: ImageSet
    """What the final figure is measured on, and nothing else."""
    split: str
    """One line on how it was cut, for manifests."""
    sha256: str | None = None
    """Of the file, pictures or arrays of your own; None for those of `DATASETS`, whose files are known."""

    def __post_init__(self) -> None:
        for split in ("train", "validation", "test"):
            images: ImageSet = getattr(self, split)
            low, high = int(images.labels.min()), int(images.labels.max())
            if low < 0 or high >= self.classes:
                raise ValueError(f"{self.name} {split} labels span {low}..{high}, expected 0..{self.classes - 1}")
            if images.shape != self.train.shape:
                raise ValueError(f"{self.name} {split} images are {images.shape}, those of train {self.train.shape}")

    def __repr__(self) -> str:
        parts = ", ".join(f"{len(getattr(self, split))} {split}" for split in ("train", "validation", "test"))
        return f"{self.name}: {parts} images of {self.train.shape}, {self.classes} classes"


def _brightness(pixels: torch.Tensor, scale: int) -> torch.Tensor:
    return pixels.to(torch.float32) / scale
