"""Disturbed test images: made once on the float network, then shown to every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.machines.backend import Conditions, Images
from bench.robustness.kept import keep, origin_of, read_kept
from bench.robustness.names import ATTACKS, GAUSSIAN_SIGMAS, GAUSSIANS, PGD_EPSILONS
from models.ep.network import EPNetwork
from models.ep.relaxation import States, relax, start_states

PGD_STEPS = 20
ATTACK_BYTES = 2**31
"""What an attack may keep of the states of a batch on their way, to go back through them: it takes as many images at
once as that holds, and finds the same whatever their number."""
PGD_TRAVEL = 2.5
"""Steps of PGD_TRAVEL * epsilon / PGD_STEPS: together 2.5 radii, as in the seed study."""


class FreePhase(nn.Module):
    """The free phase as a torch module, for attack libraries: images to logits, differentiable through every step.

    It is the computation that predicts, with a fixed number of synchronous steps: fewer steps, or a number that adapts
    to the image, would hide gradients and look like robustness.
    """

    def __init__(self, network: EPNetwork, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, classes)."""
        sweeps = equal_sweeps(self.network, self.steps)
        if sweeps is None:
            settled = relax(self.network, images, steps=self.steps, schedule="synchronous")
        elif (self.steps - len(self.network.links)) % 2 == 0:
            settled = relax(self.network, images, steps=sweeps, schedule="odd_even")
        else:
            start = first_step(self.network, images)
            settled = relax(self.network, images, steps=sweeps, schedule="odd_even", start=start)
        return self.network.logits(settled.states[-1])


def equal_sweeps(network: EPNetwork, steps: int) -> int | None:
    """Odd-even sweeps that leave the last layer exactly where so many synchronous steps leave it, at half the work.

    The synchronous dynamics from zero are two interleaved chains. In one, odd layers move at odd steps: k sweeps from
    zero make steps 2k - 1 of odd layers and 2k of even ones. In the other, even layers move first, to `first_step`: k
    sweeps from there make steps 2k of odd layers and 2k + 1 of even ones. None where winners of max pooling couple the
    chains, or no sweep is needed.
    """
    if any(getattr(link, "pooling", "none") == "max" for link in network.links):
        return None
    met_from_zero = (steps - len(network.links)) % 2 == 0
    return (steps + 1) // 2 if met_from_zero else steps // 2 or None


def attack_batch(network: EPNetwork, steps: int) -> int:
    """Images that may be attacked at once: autograd keeps about 3 numbers for every sum of every step or sweep."""
    sums = sum(prod(getattr(link, "summed", link.above)) for link in network.links)
    runs = equal_sweeps(network, steps) or steps
    return max(1, ATTACK_BYTES // (4 * 3 * sums * runs))


def first_step(network: EPNetwork, images: Tensor) -> States:
    """States after a synchronous step from zero, even layers only: nothing but the bias moves them."""
    states = start_states(network, images, "zero")
    return tuple(
        (state + link.spread_bias()).clamp(0, 1) if layer % 2 == 0 else state
        for layer, (link, state) in enumerate(zip(network.links, states, strict=True), start=1)
    )


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
    """Projected gradient descent in the Linf ball, white box, cross-entropy, no random start, within [0, 1]."""
    # imported here: the library takes seconds to load, and only attacks need it
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        FreePhase(network.map_parameters(lambda tensor: tensor.to(device)), steps),
        loss=nn.CrossEntropyLoss(),
        input_shape=network.input_shape,
        nb_classes=network.classes,
        clip_values=(0.0, 1.0),
        device_type="cpu" if device == "cpu" else "gpu",
    )
    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm=np.inf,
        eps=epsilon,
        eps_step=PGD_TRAVEL * epsilon / PGD_STEPS,
        max_iter=PGD_STEPS,
        num_random_init=0,
        batch_size=min(batch_size, attack_batch(network, steps)),
        verbose=False,
    )
    attacked = attack.generate(images, np.eye(network.classes, dtype=np.float32)[labels])
    # the projection works in float32 and may overshoot the ball or the range by a rounding error
    return np.clip(np.clip(attacked, images - epsilon, images + epsilon), 0.0, 1.0).astype(np.float32)


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
    for name, sigma in zip(GAUSSIANS, GAUSSIAN_SIGMAS, strict=True):
        if name in names:
            yield name, gaussian(images, sigma, conditions.seed)
    settling = conditions.settling
    for name, epsilon in zip(ATTACKS, PGD_EPSILONS, strict=True):
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
                steps=settling.steps,
                batch_size=settling.batch_size,
                device=conditions.torch_device,
            )
            keep(file, made, origin)
        yield name, read_kept(file, origin, images.shape)
