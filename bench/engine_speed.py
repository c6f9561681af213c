"""How fast networks settle and learn on the engine: `python -m bench.speed settle` and `... train`.

The plain way is that of the published code: synchronous float32 steps, 250 free and 30 under each nudge (Laborieux et
al. 2021, Mansingh et al. 2024), here without the work their automatic differentiation adds. All threads of the computer
are used by both.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.timing import Speed, fastest
from models.engine.answering import answer
from models.engine.learning import engine_gradient
from models.engine.settling import Engine
from models.learning import Phases, cosine, ep_gradient
from models.network import EPNetwork, build_network
from models.recipes import recipe_for
from models.relaxation import relax
from models.updates import Updates
from models.zoo import load_model, zoo_names

PLAIN = Phases(250, 30, estimator="centered", schedule="synchronous")
SWEEPS = {"seed-cifar10": (6, 3), "hw-cifar10-small": (4, 3)}
"""Upwards in the free phase, downwards in the nudged ones. On hw-cifar10-small they give the gradient of the plain way;
on the seed network as drawn, where maxima are nearly tied, no sweeps do: `cosine` says so."""
LIMIT = 30
"""Odd-even sweeps of the fast way at most: as many as the 60 synchronous steps that lose nothing (their figures)."""


def speed_settle(images: int = 256, batch: int = 64, name: str = "seed-cifar10") -> Speed:
    """The seed network on the engine beside plain settling, on the same images.

    seconds: per image. `agreement` is the share of images that get the same answer; `sweeps` the mean that they took.
    Ratios of time are plain over engine. Weights are those of the zoo, or as drawn where it has no such network.
    """
    network, pixels = _network(name), _images(images)
    batches = pixels.split(batch)
    with torch.no_grad():
        seconds, plain = {}, [torch.empty(0)] * len(batches)
        found: list[Tensor] = [torch.empty(0)] * len(batches)
        taken: list[Tensor] = [torch.empty(0)] * len(batches)

        def settle_plainly() -> None:
            for index, shown in enumerate(batches):
                relaxed = relax(network, shown, steps=PLAIN.free_steps, schedule="synchronous")
                plain[index] = network.logits(relaxed.states[-1])

        def settle() -> None:
            engine = Engine(network, torch.bfloat16)
            for index, shown in enumerate(batches):
                answers = answer(engine, shown, limit=LIMIT)
                found[index], taken[index] = answers.scores, answers.sweeps

        seconds = fastest({"plain": settle_plainly}, repeats=1, warm_ups=0) | fastest({"engine": settle}, repeats=3)
    same = torch.cat(plain).argmax(dim=1) == torch.cat(found).argmax(dim=1)
    return Speed(
        {case: value / images for case, value in seconds.items()},
        f"per image, batches of {batch}, {_origin(name)}",
        {"plain_over_settle": seconds["plain"] / seconds["engine"]},
        {"agreement": float(same.double().mean()), "sweeps": float(torch.cat(taken).double().mean())},
    )


def speed_train(batch: int = 64) -> Speed:
    """One training step, gradient and update, on the engine beside the plain one, on the same images.

    The seed network takes maxima and learns in float32; hw-cifar10-small, the figures of which end in _small, in
    bfloat16. seconds: per image. `cosine` is the least over all weights and biases, engine against plain.
    """
    seconds: dict[str, float] = {}
    ratios: dict[str, float] = {}
    others: dict[str, float] = {}
    for name, sweeps in SWEEPS.items():
        found, least = _steps(name, sweeps, batch)
        seconds |= {f"{way} {name}": value / batch for way, value in found.items()}
        suffix = "" if name == "seed-cifar10" else "_small"
        ratios[f"plain_over_train{suffix}"] = found["plain"] / found["engine"]
        others[f"cosine{suffix}"] = least
    return Speed(seconds, f"per image, batch of {batch}, " + ", ".join(map(_origin, SWEEPS)), ratios, others)


def _steps(name: str, sweeps: tuple[int, int], batch: int) -> tuple[dict[str, float], float]:
    """Seconds of both ways to take a step, and the least cosine between their gradients."""
    network, recipe, pixels = _network(name), recipe_for(name), _images(batch)
    labels = torch.arange(batch) % network.classes
    plain = replace(PLAIN, beta=recipe.phases.beta)
    fast = Phases(*sweeps, beta=recipe.phases.beta, schedule="up_down")
    dtype = recipe.engine_dtype or torch.float32
    # what the updates change is not what the gradients are of: both are of the same weights
    changed = {key: tensor.clone() for key, tensor in network.named_parameters().items()}
    updates, gradients = Updates(changed, recipe), {}

    def plainly() -> None:
        gradients["plain"] = ep_gradient(network, pixels, labels, plain, torch.Generator())[0]
        updates.apply(gradients["plain"])

    def engine() -> None:
        gradients["engine"] = engine_gradient(network, pixels, labels, fast, dtype)[0]
        updates.apply(gradients["engine"])

    seconds = fastest({"plain": plainly}, repeats=1, warm_ups=0) | fastest({"engine": engine}, repeats=3)
    return seconds, min(cosine(gradients["engine"], gradients["plain"], list(gradients["plain"])).values())


def _network(name: str) -> EPNetwork:
    if name in zoo_names():
        return load_model(name)
    return build_network((3, 32, 32), recipe_for(name).layers, 10, torch.Generator().manual_seed(0))


def _origin(name: str) -> str:
    return f"{name} of the zoo" if name in zoo_names() else f"{name} as drawn: the zoo has no trained one"


def _images(count: int) -> Tensor:
    """Pictures with the spectrum of photographs, from noise: no data set is needed to time a network."""
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft2(torch.randn((count, 3, 32, 32), generator=generator))
    rows, columns = torch.fft.fftfreq(32)[:, None], torch.fft.rfftfreq(32)[None]
    pictures = torch.fft.irfft2(spectrum / (rows.square() + columns.square()).sqrt().clamp(min=1 / 32), s=(32, 32))
    low, high = pictures.amin(dim=(1, 2, 3), keepdim=True), pictures.amax(dim=(1, 2, 3), keepdim=True)
    return (pictures - low) / (high - low)
