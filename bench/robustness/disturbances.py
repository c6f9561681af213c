"""Disturbed test images: made once on the float network, then shown to every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.machines.backend import Conditions, Images
from bench.robustness.attacks.pgd import PGD
from bench.robustness.attacks.target import Target
from bench.robustness.ball import Ball
from bench.robustness.free_phase import FreePhase, equal_sweeps
from bench.robustness.kept import keep, origin_of, read_kept
from bench.robustness.names import EPSILONS, SIGMAS
from bench.robustness.slopes.unrolled import unrolled
from mapping.machines import steps_of
from models.ep.network import EPNetwork

ATTACK_BYTES = 2**31
"""What an attack may keep of the states of a batch on their way, to go back through them: it takes as many images at
once as that holds, and finds the same whatever their number."""


def attack_batch(network: EPNetwork, steps: int) -> int:
    """Images that may be attacked at once: autograd keeps about 3 numbers for every sum of every step or sweep."""
    sums = sum(prod(getattr(link, "summed", link.above)) for link in network.links)
    runs = equal_sweeps(network, steps) or steps
    return max(1, ATTACK_BYTES // (4 * 3 * sums * runs))


def gaussian(images: Images, sigma: float, seed: int) -> Images:
    """clip(x + sigma * n, 0, 1) with n standard normal from a generator of its own."""
    noise = np.random.default_rng([seed, round(sigma * 1e6)]).standard_normal(images.shape, np.float32)
    return np.clip(images + np.float32(sigma) * noise, 0.0, 1.0)


def pgd_linf(
    network: EPNetwork,
    images: Images,
    labels: NDArray[np.int64],
    epsilon: float,
    *,
    steps: int,
    batch_size: int,
    device: str,
) -> Images:
    """Projected gradient descent in the Linf ball, white box, through every step, from the clean images: of all of them
    also those that are answered wrong as they are."""
    attacked_network = network.map_parameters(lambda tensor: tensor.to(device))
    predict = FreePhase(attacked_network, steps)
    target = Target(predict.forward, torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device))
    attack, slope = PGD(Ball("Linf", epsilon)), unrolled(attacked_network, steps)
    size = min(batch_size, attack_batch(network, steps))
    found = [attack.strongest(part, slope).images for _, part in target.batches(size)]
    return torch.cat(found).cpu().numpy()


def disturbed(
    network: EPNetwork,
    images: Images,
    labels: NDArray[np.int64],
    names: Sequence[str],
    conditions: Conditions,
    folder: Path,
    announce: Callable[[str], None],
) -> Iterator[tuple[str, Images]]:
    """These of `DISTURBANCES`, by name; attacks are kept in the run folder, so that a resumed run shows them again."""
    for name, sigma in SIGMAS.items():
        if name in names:
            yield name, gaussian(images, sigma, conditions.seed)
    settling = conditions.settling
    for name, epsilon in EPSILONS.items():
        if name not in names:
            continue
        file, origin = folder / f"{name}.safetensors", origin_of(name, network, images)
        if not file.exists():
            announce(name)
            made = pgd_linf(
                network,
                images,
                labels,
                epsilon,
                steps=steps_of(network, settling.steps),
                batch_size=settling.batch_size,
                device=conditions.torch_device,
            )
            keep(file, made, origin)
        yield name, read_kept(file, origin, images.shape)[0]
