"""Batch normalisation of the sums of a link, before pooling, and how a trained network does without it.

    BN(u)_c = g_c (u_c - m_c) / sqrt(v_c + epsilon) + h_c,      u = W * s_below + b

Mean m and variance v of every channel c are those of the batch while training, and running averages of them afterwards
(Ioffe & Szegedy 2015). Then BN is linear and pooling commutes with adding a constant to a channel, so that

    W'_c = W_c g_c / sqrt(v_c + epsilon),      b'_c = h_c + g_c (b_c - m_c) / sqrt(v_c + epsilon)

give the same network as plain links. The scale must be inside the pooling: where g_c is negative, the maximum of a
window becomes its minimum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from models.ep.links import ConvLink, Link, with_tensors
from models.ep.network import EPNetwork
from models.ep.pooling import pool
from models.ep.relaxation import States

EPSILON = 1e-5
"""Added to variances; torch's default, as is the next."""
MOMENTUM = 0.1
"""Share of a new batch in the running averages."""


@dataclass(frozen=True)
class BatchNorm:
    """Four numbers for each channel (or unit, of a dense link) above a link, (C,) each."""

    scale: Tensor
    """g, learnt."""
    offset: Tensor
    """h, learnt."""
    mean: Tensor
    """m, a running average: changed in place by every batch in training."""
    variance: Tensor
    """v, likewise."""

    def __call__(self, sums: Tensor, *, training: bool) -> Tensor:
        """BN of sums (B, C, H, W) or (B, C); `training` takes mean and variance from them, and remembers these."""
        return F.batch_norm(sums, self.mean, self.variance, self.scale, self.offset, training, MOMENTUM, EPSILON)

    def folded(self, link: Link) -> Link:
        """A link that sums what BN makes of the sums of `link` out of training."""
        factor = self.scale / (self.variance + EPSILON).sqrt()
        weight = link.weight * factor.view(-1, *[1] * (link.weight.ndim - 1))
        return with_tensors(link, weight, self.offset + factor * (link.bias - self.mean))


def fresh_norms(network: EPNetwork) -> tuple[BatchNorm, ...]:
    """For every link: scale and variance 1, offset and mean 0."""
    norms = []
    for link in network.links:
        one, zero = torch.ones_like(link.bias), torch.zeros_like(link.bias)
        norms.append(BatchNorm(one.clone().requires_grad_(), zero.clone().requires_grad_(), zero, one))
    return tuple(norms)


def normed_states(network: EPNetwork, norms: tuple[BatchNorm, ...], images: Tensor, *, training: bool) -> States:
    """One pass upwards, s_l = clip(pool(BN_l(W_l * s_{l-1} + b_l)), 0, 1), of images (B, C, H, W).

    What skips bring is added after pooling, as it is.
    """
    states: list[Tensor] = []
    below = images
    for layer, (link, norm) in enumerate(zip(network.links, norms, strict=True), start=1):
        summing = replace(link, pooling="none", pool_size=1) if isinstance(link, ConvLink) else link
        sums = norm(summing.up(below)[0] + summing.spread_bias(), training=training)
        drive = pool(link.pooling, link.pool_size, sums)[0] if isinstance(link, ConvLink) else sums
        for skip in network.skips_into(layer):
            drive = drive + skip.link.up(states[skip.source - 1])[0]
        below = drive.clamp(0, 1)
        states.append(below)
    return tuple(states)


def without_norms(network: EPNetwork, norms: tuple[BatchNorm, ...]) -> EPNetwork:
    """The plain network of the same states: all norms folded into weights and biases."""
    links = tuple(norm.folded(link) for link, norm in zip(network.links, norms, strict=True))
    return replace(network, links=links)
