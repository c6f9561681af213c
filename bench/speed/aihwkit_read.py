"""The same read on a tile of aihwkit, for comparison.

aihwkit 1.1.0 is an optional extra of this project. It needs torch 2.12: with torch 2.13 its C++ tiles say "weights must
be a CPU tensor" to every tensor. Installed and measured with one command, in an environment that is not kept:

    uv run --isolated --no-dev --extra aihwkit python -m bench.speed crossbar
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PCM_READ = 0.0175
"""Scale of the PCM read noise in aihwkit's StandardHWATrainingPreset (Rasch et al. 2023, arXiv:2302.08469)."""


def aihwkit_read(weight: NDArray[np.float64], x: Tensor) -> Callable[[], object] | None:
    """One read of x (inputs, N) by weights (outputs, inputs) in [-1, 1]; None where aihwkit is not installed.

    8-bit input and output, PCM read noise in every product, and no other noise.
    """
    if find_spec("aihwkit") is None:
        return None
    from aihwkit.nn import AnalogLinear
    from aihwkit.simulator.configs import InferenceRPUConfig
    from aihwkit.simulator.parameters.enums import WeightNoiseType

    config = InferenceRPUConfig()
    config.mapping.max_input_size = config.mapping.max_output_size = 0  # one tile, as ours
    config.forward.inp_res = config.forward.out_res = 1 / (2**8 - 2)
    config.forward.out_noise = 0.0
    config.forward.w_noise_type = WeightNoiseType.PCM_READ
    config.forward.w_noise = PCM_READ
    outputs, inputs = weight.shape
    layer = AnalogLinear(inputs, outputs, bias=False, rpu_config=config)
    layer.set_weights(torch.as_tensor(weight, dtype=torch.float32))
    layer.eval()
    vectors = x.T.contiguous()

    def read() -> Tensor:
        with torch.no_grad():
            sums: Tensor = layer(vectors)
        return sums

    return read
