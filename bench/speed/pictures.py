"""Pictures that need no data set: to time networks by, and to see them settle on what they never saw."""

from __future__ import annotations

import torch
from torch import Tensor


def pictures(count: int) -> Tensor:
    """(count, 3, 32, 32) from 0 to 1: noise with the spectrum of photographs, 1 / frequency in amplitude."""
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft2(torch.randn((count, 3, 32, 32), generator=generator))
    rows, columns = torch.fft.fftfreq(32)[:, None], torch.fft.rfftfreq(32)[None]
    drawn = torch.fft.irfft2(spectrum / (rows.square() + columns.square()).sqrt().clamp(min=1 / 32), s=(32, 32))
    low, high = drawn.amin(dim=(1, 2, 3), keepdim=True), drawn.amax(dim=(1, 2, 3), keepdim=True)
    return (drawn - low) / (high - low)
