"""Data-parallel training: processes that each settle their share of every batch and add up their gradients.

    torchrun --nproc-per-node 2 -m models.train RECIPE

All processes draw the same random numbers, so that every batch, its augmentation and its die are those of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Team:
    """The processes of a run, and which of them this is."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """The part (about B / size, ...) of a batch (B, ...) that is this process's."""
        return batch[self.rank :: self.size]

    def total(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """The sums of float tensors over all processes, in one message."""
        if self.size == 1:
            return list(parts)
        message = torch.cat([part.flatten() for part in parts])
        dist.all_reduce(message)
        pieces = message.split([part.numel() for part in parts])
        return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]


@contextmanager
def team_of_torchrun(device: str) -> Iterator[tuple[Team, str]]:
    """The team that torchrun has started, and this process's device; without torchrun, a team of one.

    Gradients travel by NCCL between GPUs, one for each process, and by gloo between processes of the CPU.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Team(), device
        return
    local = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    if local != "cpu":
        torch.cuda.set_device(local)
    dist.init_process_group("gloo" if local == "cpu" else "nccl")
    try:
        yield Team(dist.get_rank(), dist.get_world_size()), local
    finally:
        dist.destroy_process_group()
