"""The engine's gradient as one compiled program.

From the images to the gradient everything follows from shapes, and no number is looked at on the way: `torch.compile`
takes all of it at once, makes one pass over memory of what lies between two convolutions and, on CUDA, records it as
one graph, which is launched as a whole. A batch of another size is compiled anew.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from models.ep.gradient import Gradient, Phases
from models.ep.network import EPNetwork
from models.ep.relaxation import States
from models.fast.gradient import asked_for, gradient_of


def compiled_gradient(
    network: EPNetwork,
    images: Tensor,
    labels: Tensor,
    phases: Phases,
    generator: torch.Generator,
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[Gradient, States]:
    """`engine_gradient`, but for rounding. Compiled by the first call, which may take minutes. On CUDA the tensors that
    it returns hold until the next call."""
    targets, signs = asked_for(network, images, labels, phases, generator)
    return _program()(network, images, targets, signs, phases, dtype)


@cache
def _program() -> Callable[..., tuple[Gradient, States]]:
    # not before it is called: the compiler alone takes seconds to import
    return torch.compile(gradient_of, fullgraph=True, dynamic=False, mode="reduce-overhead")


def check_compiler() -> None:
    """A ValueError says which C++ compiler is missing."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise ValueError(f"compiled gradients need the C++ compiler {compiler}, which is not there; CXX names another")
