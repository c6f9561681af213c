"""How fast networks settle and learn on the engine: `python -m bench.speed settle` and `... train`.

The plain way is that of the published code: synchronous float32 steps, 250 free and 30 under each nudge (Laborieux et
al. 2021, Mansingh et al. 2024), here without the work their automatic differentiation adds. On a CPU both use one
thread; on CUDA the plain way keeps all digits of float32, where published code runs at torch's default, TF32. The zoo
has no seed network: give the checkpoint of a run of `models.train seed-cifar10` to time one that has learnt something,
and the folder of CIFAR-10 to show it test images; drawn weights and pictures are used otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bench.evaluate import one_thread_each
from bench.speed.pictures import pictures
from bench.speed.timing import Clock, Speed, check_counts, fastest
from bench.speed.utilisation import flop_of, product_rate, utilisation
from models.command_line import before_work
from models.data import load_data
from models.ep.gradient import Gradient, Maxima, Phases, cosine, ep_gradient
from models.ep.network import EPNetwork, build_network
from models.ep.relaxation import relax
from models.fast.answering import answer
from models.fast.compiled import check_compiler, compiled_gradient
from models.fast.gradient import engine_gradient
from models.fast.settling import Engine
from models.recipes import recipe_for
from models.train.checks import check_device
from models.train.updates import Updates
from models.zoo import load_model

PLAIN = Phases(250, 30, estimator="centered", schedule="synchronous")
SUFFIXES = {"seed-cifar10": "", "hw-cifar10-small": "_small", "feedback-strong": "_strong"}
"""How the figures of a network end."""
LIMIT = 60
"""Sweeps of the fast way at most, upwards and downwards in turn: as many as the synchronous steps that lose nothing
(their figures), each of which costs two."""


def speed_settle(
    images: int = 256,
    batch: int = 64,
    seed_network: Path | None = None,
    data_dir: Path | None = None,
    device: str = "cpu",
) -> Speed:
    """The seed network on the engine beside plain settling, on the same images.

    seconds: per image. `agreement` is the share of images that get the same answer; `sweeps` the mean that they took.
    Ratios of time are plain over engine. `gigaflop` is what the engine computes for an image, and `utilisation` how
    much of the board's bfloat16 peak that uses (see `bench.speed.utilisation`).

    Args:
        images: how many are settled.
        batch: images at once.
        seed_network: checkpoint of `models.train seed-cifar10`; as drawn if not given.
        data_dir: folder of CIFAR-10, whose test images are shown; made pictures if not given.
        device: cpu, cuda, or a device of that kind such as cuda:1.
    """
    check_counts(images=images, batch=batch)
    with before_work():
        check_device(device)
        network, (pixels, _) = _on(device, _seed_network(seed_network)), _shown(images, data_dir, device)
    batches = pixels.split(batch)
    with torch.no_grad(), one_thread_each():
        plain: list[Tensor] = [torch.empty(0)] * len(batches)
        scores: list[Tensor] = [torch.empty(0)] * len(batches)
        sweeps: list[Tensor] = [torch.empty(0)] * len(batches)

        def settle_plainly() -> None:
            for index, shown in enumerate(batches):
                relaxed = relax(network, shown, steps=PLAIN.free_steps, schedule="synchronous")
                plain[index] = network.logits(relaxed.states[-1])

        def settle() -> None:
            engine = Engine(network, torch.bfloat16)
            for index, shown in enumerate(batches):
                answers = answer(engine, shown, limit=LIMIT)
                scores[index], sweeps[index] = answers.scores, answers.sweeps

        seconds = fastest(
            {"plain": settle_plainly}, repeats=1, warm_ups=_warm_ups(device), device=device, clock=_clock(device)
        )
        seconds |= fastest({"engine": settle}, repeats=3, device=device, clock=_clock(device))
        flop = flop_of(settle)
    same = torch.cat(plain).argmax(dim=1) == torch.cat(scores).argmax(dim=1)
    return Speed(
        {case: value / images for case, value in seconds.items()},
        f"per image, batches of {batch}, {_origin(seed_network)}",
        {"plain_over_settle": seconds["plain"] / seconds["engine"]},
        {
            "agreement": float(same.double().mean()),
            "sweeps": float(torch.cat(sweeps).double().mean()),
            **_rates("", images, flop, seconds["engine"], device, torch.bfloat16),
        },
        device,
        _clock(device),
    )


def speed_train(
    batch: int = 64,
    seed_network: Path | None = None,
    data_dir: Path | None = None,
    compiled: bool = False,
    device: str = "cpu",
) -> Speed:
    """One training step of a recipe, gradient and update, on the engine beside the plain one, on the same images.

    seconds: per image. `cosine` is the least over all weights and biases, engine against plain, maxima held in both;
    `cosine_live` that with the plain way's maxima live, as published: one that a nudge moves then counts for much.
    `gigaflop` and `utilisation` are of the engine, the update included, as in `speed_settle`. Figures of
    hw-cifar10-small, which has no maxima, end in _small, those of feedback-strong in _strong. `product_share` is the
    rate at which the engine computes over that of plain products of the same shapes and arithmetic
    (`bench.speed.utilisation`).

    Args:
        batch: images of the step.
        seed_network: checkpoint of `models.train seed-cifar10`; as drawn if not given.
        data_dir: folder of CIFAR-10, whose test images are shown; made pictures if not given.
        compiled: time the compiled engine too, which takes a C++ compiler, and minutes.
        device: cpu, cuda, or a device of that kind such as cuda:1.
    """
    check_counts(batch=batch)
    with before_work():
        check_device(device)
        if compiled:
            check_compiler()
        networks = {"seed-cifar10": _seed_network(seed_network), "hw-cifar10-small": load_model("hw-cifar10-small")}
        pixels, labels = _shown(batch, data_dir, device)
    seconds: dict[str, float] = {}
    ratios: dict[str, float] = {}
    others: dict[str, float | None] = {}
    networks = {"seed-cifar10": _seed_network(seed_network)} | {
        name: load_model(name) for name, suffix in SUFFIXES.items() if suffix
    }
    pixels, labels = _shown(batch, data_dir, device)
    for name, drawn in networks.items():
        network, dtype = _on(device, drawn), recipe_for(name).engine_dtype or torch.float32
        with one_thread_each():
            times, gradient, plain, flop = _steps(name, network, pixels, labels, compiled)
        seconds |= {f"{way} {name}": value / batch for way, value in times.items()}
        suffix = SUFFIXES[name]
        ratios[f"plain_over_train{suffix}"] = times["plain"] / times["engine"]
        if compiled:
            ratios[f"engine_over_compiled{suffix}"] = times["engine"] / times["compiled"]
        others |= _rates(suffix, batch, flop, times["engine"], device, dtype)
        product = product_rate(network, batch, dtype, device, _clock(device))
        others[f"product_share{suffix}"] = flop / times["engine"] / product
        others[f"cosine{suffix}"] = _least_cosine(gradient, plain)
        if name == "seed-cifar10":
            others["cosine_live"] = _least_cosine(gradient, _plainly(name, network, pixels, labels, "live"))
    unit = f"per image, batch of {batch}, {_origin(seed_network)}, the others of the zoo"
    return Speed(seconds, unit, ratios, others, device, _clock(device))


def _steps(
    name: str, network: EPNetwork, pixels: Tensor, labels: Tensor, compiled: bool
) -> tuple[dict[str, float], Gradient, Gradient, int]:
    """Seconds of all ways to take a step, the gradients of the engine and of the plain way, and the engine's work."""
    recipe, device = recipe_for(name), str(pixels.device)
    dtype = recipe.engine_dtype or torch.float32
    # what the updates change is not what the gradients are of: both are of the same weights
    changed = {key: tensor.clone() for key, tensor in network.named_parameters().items()}
    signs = torch.Generator().manual_seed(0)
    updates, gradients = Updates(changed, recipe), {}

    def plainly() -> None:
        gradients["plain"] = _plainly(name, network, pixels, labels)
        updates.apply(gradients["plain"])

    def engine() -> None:
        gradients["engine"] = engine_gradient(network, pixels, labels, recipe.phases, signs, dtype)[0]
        updates.apply(gradients["engine"])

    def as_one_program() -> None:
        updates.apply(compiled_gradient(network, pixels, labels, recipe.phases, signs, dtype)[0])

    fast = {"engine": engine} | ({"compiled": as_one_program} if compiled else {})
    seconds = fastest({"plain": plainly}, repeats=1, warm_ups=_warm_ups(device), device=device, clock=_clock(device))
    seconds |= fastest(fast, repeats=5, device=device, clock=_clock(device))
    return seconds, gradients["engine"], gradients["plain"], flop_of(engine)


def _clock(device: str) -> Clock:
    """On a CPU all is done by one thread of this process."""
    return "processor" if device == "cpu" else "wall"


def _warm_ups(device: str) -> int:
    """Of the plain way: a board is not at its speed in the first call; a CPU is, and takes many minutes for one."""
    return 0 if device == "cpu" else 1


def _rates(
    suffix: str, images: int, flop: int, seconds: float, device: str, dtype: torch.dtype
) -> dict[str, float | None]:
    """Images a second of the engine, what it computes for one, and how much of the board that uses."""
    return {
        f"images_per_s{suffix}": images / seconds,
        f"gigaflop{suffix}": flop / images / 1e9,
        f"utilisation{suffix}": utilisation(flop, seconds, device, dtype),
    }


def _plainly(name: str, network: EPNetwork, pixels: Tensor, labels: Tensor, maxima: Maxima = "held") -> Gradient:
    """The gradient by the plain steps, under the nudge of the recipe."""
    phases = replace(PLAIN, beta=recipe_for(name).phases.beta, maxima=maxima)
    return ep_gradient(network, pixels, labels, phases, torch.Generator())[0]


def _least_cosine(gradient: Gradient, expected: Gradient) -> float:
    a, b = ({key: tensor.double() for key, tensor in one.items()} for one in (gradient, expected))
    return min(cosine(a, b, list(expected)).values())


def _seed_network(checkpoint: Path | None) -> EPNetwork:
    if checkpoint is not None:
        return load_model(str(checkpoint))
    return build_network((3, 32, 32), recipe_for("seed-cifar10").layers, 10, torch.Generator().manual_seed(0))


def _on(device: str, network: EPNetwork) -> EPNetwork:
    return network.map_parameters(lambda tensor: tensor.to(device))


def _origin(checkpoint: Path | None) -> str:
    return "seed-cifar10 " + ("as drawn" if checkpoint is None else f"of {checkpoint.name}")


def _shown(count: int, data_dir: Path | None, device: str) -> tuple[Tensor, Tensor]:
    """Test images of CIFAR-10 with their labels, or made pictures with any."""
    if data_dir is None:
        return pictures(count).to(device), (torch.arange(count) % 10).to(device)
    test = load_data("cifar10", data_dir).test.first(count).to(device)
    return test.floats(), test.labels
