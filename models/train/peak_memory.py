"""What torch holds in memory at once, found without computing anything: on tensors that have shapes but no numbers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SCRATCH_COPIES = 2
"""Copies that a convolution is taken to make of all it reads and writes, to have them in a layout of its own."""


def peak_bytes(work: Callable[[], object]) -> int:
    """Most bytes that tensors hold at any moment of `work`, which makes them on the device `meta`.

    A tensor counts from when it is made until nothing refers to its memory any more; convolutions add their scratch.
    """
    with _Counter() as counter, torch.no_grad():
        work()
    return counter.peak


class _Counter(TorchDispatchMode):
    """Sees every operation of torch, and every tensor it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            self._count(tensor)
        scratch = 0
        if func.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_backward):
            scratch = SCRATCH_COPIES * sum(tensor.nbytes for tensor in _tensors((args, made)))
        self.peak = max(self.peak, self.live + scratch)
        return made

    def _count(self, tensor: Tensor) -> None:
        memory = tensor.untyped_storage()
        key, size = memory._cdata, memory.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.live += size
            weakref.finalize(memory, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]
