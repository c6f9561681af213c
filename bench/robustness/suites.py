"""What a suite does: attacks, balls and budgets, by name."""

from __future__ import annotations

from dataclasses import dataclass

from bench.robustness.ball import Ball, Norm

FAR = 64 / 255
"""eps in Linf at which nothing may be left: a network that still answers hides its gradient (Carlini et al. 2019,
arXiv:1902.06705)."""


@dataclass(frozen=True)
class Radii:
    """eps of a kind of images, pixels from 0 to 1, over all channels."""

    l2: tuple[float, ...]
    linf: tuple[float, ...]

    def balls(self) -> tuple[Ball, ...]:
        """All of them."""
        return (*(Ball("L2", eps) for eps in self.l2), *(Ball("Linf", eps) for eps in self.linf))

    def middle(self) -> tuple[Ball, Ball]:
        """The ball of each norm at which most is shown."""
        return Ball("L2", self.l2[len(self.l2) // 2]), Ball("Linf", self.linf[len(self.linf) // 2])


DRAWS = 5
"""Of random noise: the worst of so many."""

COLOUR = Radii(l2=(0.124, 0.309, 0.5), linf=(2 / 255, 0.01, 8 / 255))
"""Three channels of 32 x 32: radii of the seed study (arXiv:2401.11543) and of RobustBench."""
GREY = Radii(l2=(0.5, 1.0, 2.0), linf=(0.03, 0.1, 0.3))
"""One channel: those of MNIST (Madry et al. 2018, arXiv:1706.06083; Croce & Hein 2020)."""


def radii_of(channels: int) -> Radii:
    """Those of images with so many channels."""
    return COLOUR if channels == 3 else GREY


@dataclass(frozen=True)
class Suite:
    """How much is done. Images are balanced over classes."""

    images: int
    pgd_steps: int = 20
    starts: int = 1
    """Of PGD: the clean image, and further ones drawn from the ball."""
    auto_steps: int = 0
    """Of Auto-PGD by cross-entropy and, towards `targets` classes, by ratios of logits; 0: none."""
    auto_everywhere: bool = False
    """Auto-PGD at all radii, and not at the middle ones alone."""
    targets: int = 0
    queries: int = 0
    """Of Square; 0: none."""
    every_gradient: bool = False
    """PGD at the middle radii by every gradient, and how well they agree."""
    severities: tuple[int, ...] = (3,)
    """Of natural corruptions."""
    corrupted: int = 500
    """Images of each corruption at each severity."""
    sane: int = 40
    """Images of the checks of the attacks themselves."""
    planted: int = 3
    """Planted examples, for each norm."""
    draws: int = 1
    """Times each die is asked about every image, its noise drawn anew; more with `--draws`."""
    looped: int = 20
    """Images of attacks on one die itself."""
    averaged: tuple[int, ...] = (4,)
    """Draws of a noisy die that every score of an attack on it is averaged over: the curve must be flat."""
    asked: int = 0
    """Queries of Square to the die itself; 0: none."""
    all_to_machines: bool = False
    """Machines are shown images of PGD at all radii, of Auto-PGD and of Square; else of PGD at the middle ones."""


SUITES = {
    "quick": Suite(images=100),
    "standard": Suite(
        images=500,
        starts=2,
        auto_steps=50,
        targets=3,
        queries=1_000,
        every_gradient=True,
        severities=(1, 3, 5),
        corrupted=500,
        sane=100,
        planted=5,
        draws=4,
        looped=100,
        averaged=(1, 4, 16),
        asked=200,
        all_to_machines=True,
    ),
    "full": Suite(
        images=1_000,
        starts=5,
        auto_steps=100,
        auto_everywhere=True,
        targets=9,
        queries=5_000,
        every_gradient=True,
        severities=(1, 2, 3, 4, 5),
        corrupted=10_000,
        sane=200,
        planted=20,
        draws=20,
        looped=200,
        averaged=(1, 4, 16, 64),
        asked=5_000,
        all_to_machines=True,
    ),
}

WHITE, RANDOM, QUERIES, NATURAL = "white box", "random noise", "queries", "natural"
TRANSFER, TWIN, LOOP = "transfer", "digital twin", "hardware in the loop"
"""Threats: what the attacker has. Of hardware: its network without its errors (digital twin), or the very die, frozen
errors and all, of which it reads weights and scores (hardware in the loop)."""


@dataclass(frozen=True)
class Trial:
    """One attack on all images."""

    attack: str
    threat: str
    norm: Norm
    eps: float
    gradient: str | None = None
    budget: int = 0
    """Steps, queries or draws."""
    starts: int = 1
    """Of PGD."""

    @property
    def ball(self) -> Ball:
        """Where attacked images may lie."""
        return Ball(self.norm, self.eps)

    @property
    def name(self) -> str:
        """Of its files."""
        words = f"{self.attack} {self.norm} {self.eps:.4g} {self.gradient or ''} {self.budget}"
        words += f" {self.starts} starts" if self.starts > 1 else ""
        return "-".join(words.lower().split())


CLEAN, WORST = "none", "worst of all"
"""Rows of no attack, and of the images that no attack brought down."""
PGD_, AUTO, TARGETED, SQUARE, NOISE = "PGD", "APGD-CE", "APGD-T", "Square", "noise"
STRONGEST, AUTO_END, SQUARE_END = "PGD to the end", "Auto-PGD to the end", "Square to the end"
TO_THE_END = (STRONGEST, AUTO_END, SQUARE_END)
"""Attacks that give up no image, not those that are answered wrong already: what other networks and machines are shown.
Auto-PGD is by cross-entropy and towards every target, of each image the one that leads furthest."""
OFFICIAL = "AutoAttack (fra31)"
"""The ensemble of Croce & Hein as its authors publish it, run where it is installed."""
OF = "of "
"""What the name of a gradient of another network begins with: a surrogate."""


@dataclass(frozen=True)
class Means:
    """What an attacker of one network has."""

    gradients: tuple[str, ...]
    """By name, the main one first."""
    exact: str
    """The one of attacks that compare losses."""
    surrogates: tuple[str, ...] = ()
    """Other networks, whose gradients are followed on this one."""
    official: bool = False
    """Whether the authors' AutoAttack is installed."""
    machines: bool = False
    """Whether machines are shown what is found."""


def trials_of(suite: Suite, radii: Radii, means: Means) -> tuple[Trial, ...]:
    """Everything that one network is attacked by."""
    gradients = means.gradients
    main, middle = gradients[0], radii.middle()
    balls = radii.balls()
    trials = [Trial(NOISE, RANDOM, ball.norm, ball.eps, None, DRAWS) for ball in middle]
    trials += [Trial(PGD_, WHITE, ball.norm, ball.eps, main, suite.pgd_steps, suite.starts) for ball in balls]
    shown = means.machines and suite.all_to_machines
    trials += [
        Trial(STRONGEST, WHITE, ball.norm, ball.eps, main, suite.pgd_steps) for ball in (balls if shown else middle)
    ]
    if suite.every_gradient:
        others = [name for name in gradients if name != main] + [f"{OF}{name}" for name in means.surrogates]
        trials += [Trial(PGD_, WHITE, ball.norm, ball.eps, name, suite.pgd_steps) for ball in middle for name in others]
    auto = balls if suite.auto_everywhere else middle
    if suite.auto_steps:
        trials += [Trial(AUTO, WHITE, ball.norm, ball.eps, means.exact, suite.auto_steps) for ball in auto]
    if suite.targets:
        trials += [Trial(TARGETED, WHITE, ball.norm, ball.eps, means.exact, suite.auto_steps) for ball in auto]
    if suite.queries:
        trials += [Trial(SQUARE, QUERIES, ball.norm, ball.eps, None, suite.queries) for ball in middle]
    if shown:
        trials += [Trial(AUTO_END, WHITE, ball.norm, ball.eps, means.exact, suite.auto_steps) for ball in middle]
        trials += [Trial(SQUARE_END, QUERIES, ball.norm, ball.eps, None, suite.queries) for ball in middle]
    if suite.auto_steps and means.official:
        trials += [Trial(OFFICIAL, WHITE, ball.norm, ball.eps, "implicit") for ball in middle]
    return tuple(trials)
