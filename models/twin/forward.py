"""Passes of a twin while it learns: in bfloat16 with channels last, if so asked, and with noise on its weights.

Half precision is 2.2 times as fast as float32 on a CPU that multiplies it (873 against 390 images a second and gradient
of hw-cifar10-small, one thread of an AMD EPYC with avx512_bf16, batches of 128). Scores are float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.ep.network import EPNetwork
from models.ep.relaxation import States, start_states
from models.train.weight_noise import programmed
from models.twin.batch_norm import BatchNorm, normed_states


def states_in(
    network: EPNetwork, norms: tuple[BatchNorm, ...], images: Tensor, dtype: torch.dtype, *, training: bool
) -> States:
    """States of one pass upwards of images (B, C, H, W), computed in `dtype`, the last of them as float32."""
    if dtype != torch.float32:
        network, images = network.map_parameters(lambda tensor: cast(tensor, dtype)), cast(images, dtype)
    if norms:
        states = normed_states(network, norms, images, training=training)
    else:
        states = start_states(network, images, "feed_forward")
    return (*states[:-1], states[-1].float())


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in `dtype`; kernels and images with channels last, as half precision is fast."""
    return tensor.to(dtype, memory_format=torch.channels_last) if tensor.ndim == 4 else tensor.to(dtype)


def on_a_die(network: EPNetwork, coefficients: Sequence[float], generator: torch.Generator) -> EPNetwork:
    """The network as one die holds it (`models.train.weight_noise`), whose gradient is that of the weights aimed at."""
    named = network.named_parameters()
    held = programmed(network.map_parameters(torch.Tensor.detach), coefficients, generator).named_parameters()
    return network.with_parameters({name: named[name] + (held[name] - named[name].detach()) for name in named})
