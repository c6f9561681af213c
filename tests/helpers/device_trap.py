"""A trap for a torch device that is forgotten, on a computer that has no other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

MAKERS = (
    torch.tensor,
    torch.as_tensor,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.empty,
    torch.eye,
    torch.arange,
    torch.linspace,
    torch.rand,
    torch.randn,
)


class ForgottenDeviceError(AssertionError):
    """What a graphics card would have refused."""


class Watched(TorchFunctionMode):
    """In a folder, and a file beside it, makers of tensors are told where, and numpy takes only what `.cpu()` gave.

    Args:
        folder: of sources, with all below it.
        besides: a test.
        on_the_cpu: files that compute there, whatever device others are on.
    """

    def __init__(self, folder: Path, besides: str, on_the_cpu: Collection[str] = ()) -> None:
        super().__init__()
        self.folder, self.besides, self.on_the_cpu = folder, Path(besides), on_the_cpu

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, arguments: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        given, caller = named or {}, Path(sys._getframe(1).f_code.co_filename)
        inside = self.folder in caller.parents and caller.name not in self.on_the_cpu
        if caller == self.besides or inside:
            if function in MAKERS and "device" not in given:
                raise ForgottenDeviceError(f"{function.__name__} in {caller.name} was told no device")
            if function is torch.Tensor.numpy and not hasattr(arguments[0], "fetched"):
                raise ForgottenDeviceError(f"numpy in {caller.name} of a tensor that .cpu() did not bring")
        found = function(*arguments, **given)
        if function is torch.Tensor.cpu:
            found = found.detach().clone()
            found.fetched = True
        return found
