"""torch.optim.SGD without its class, whose first use imports torch's compiler: 8 s."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim.sgd import _single_tensor_sgd  # what SGD.step calls on a CPU


class Sgd:
    """Changes `parameters` in place."""

    def __init__(self, parameters: Sequence[Tensor], momentum: float = 0.0) -> None:
        self.parameters, self.momentum = list(parameters), momentum
        self.buffers: list[Tensor | None] = [None] * len(self.parameters)

    def step(self, gradients: Sequence[Tensor], rates: Sequence[float], decays: Sequence[float]) -> None:
        """One step; a rate and a decay per parameter, as torch's parameter groups have."""
        for index, (gradient, rate, decay) in enumerate(zip(gradients, rates, decays, strict=True)):
            buffer = [self.buffers[index]]
            _single_tensor_sgd(
                [self.parameters[index]],
                [gradient],
                buffer,
                grad_scale=None,
                found_inf=None,
                weight_decay=decay,
                momentum=self.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                has_sparse_grad=False,
            )
            self.buffers[index] = buffer[0]
