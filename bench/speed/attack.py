"""How fast images are attacked: `python -m bench.speed attack`, PGD of 20 steps beside the plain way.

The plain way differentiates all synchronous float32 steps, for every image at every step. Both use one thread.
"""

from __future__ import annotations

from pathlib import Path

import torch

from bench.evaluate import one_thread_each
from bench.robustness.attacks.pgd import PGD
from bench.robustness.attacks.target import Attacked
from bench.robustness.ball import Ball
from bench.robustness.slopes.unrolled import Differentiated
from bench.robustness.trials import joined
from bench.robustness.victim import Settling
from bench.speed.timing import Speed, check_counts, fastest
from models.command_line import before_work
from models.data import load_data
from models.ep.relaxation import relax
from models.zoo import load_model


def speed_attack(
    images: int = 50,
    batch: int = 50,
    steps: int = 20,
    model: str = "hw-cifar10-small",
    eps: float = 0.01,
    data_dir: Path | None = None,
) -> Speed:
    """PGD in Linf on the engine, images that fell left out, beside the plain way.

    seconds: per image and attack. `differing` are images that one way brings down and the other does not.

    Args:
        images: how many test images are attacked.
        batch: images at once.
        steps: synchronous steps of the settle that predicts, which the plain way goes back through.
        model: a network of the zoo, or a checkpoint file, of CIFAR-10.
        eps: radius of the ball.
        data_dir: folder of CIFAR-10; downloaded if not given.
    """
    check_counts(images=images, batch=batch, steps=steps)
    with before_work():
        network = load_model(model)
        shown = load_data("cifar10", data_dir).test.first(images)
        victim, ball = Settling(network, steps), Ball("Linf", eps)
    target = victim.target(shown.floats(), shown.labels)
    found: dict[str, Attacked] = {}

    def plain(pixels: torch.Tensor) -> torch.Tensor:
        return network.logits(relax(network, pixels, steps=steps, schedule="synchronous").states[-1])

    def attack_plainly() -> None:
        slope = Differentiated(plain)
        found["plain"] = joined([PGD(ball).strongest(part, slope) for _, part in target.batches(batch)])

    def attack() -> None:
        slope = victim.gradient("engine", target.images, target.labels)
        found["engine"] = joined([PGD(ball).find(part, slope) for _, part in target.batches(batch)])

    with one_thread_each():
        seconds = fastest({"plain": attack_plainly}, repeats=1, warm_ups=0, device="cpu", clock="processor")
        seconds |= fastest({"engine": attack}, repeats=2, device="cpu", clock="processor")
    fell = {name: attacked.fell for name, attacked in found.items()}
    return Speed(
        {case: value / images for case, value in seconds.items()},
        f"per image, batches of {batch}, {model}, Linf {eps:g}",
        {"plain_over_attack": seconds["plain"] / seconds["engine"]},
        {
            "images": images,
            "images_per_second": images / seconds["engine"],
            "accuracy_plain": 1 - float(fell["plain"].double().mean()),
            "accuracy_engine": 1 - float(fell["engine"].double().mean()),
            "differing": int((fell["plain"] != fell["engine"]).sum()),
        },
        "cpu",
        "processor",
    )
