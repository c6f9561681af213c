"""What a twin is trained with besides its recipe: each option is one hypothesis of what makes a network robust.

A comparison of equilibrium propagation with backpropagation needs twins that differ in one thing at a time: the noise
of weights and their clipping, which make a network smooth (`smooth`), noise on pixels (`gaussian`), images that were
attacked (`adversary`), batch normalisation (`batch_norm`), and answers of a network at rest in place of labels
(`teacher`, distillation: Hinton et al. 2015, arXiv:1503.02531). The bound on norms that Muon's decay sets is the
recipe's, and all twins have it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch

from models.recipes import Recipe
from models.recipes.recipe import StateFormat
from models.train.adversary import AdversaryName, adversary_of


@dataclass(frozen=True)
class Controls:
    """Options of a twin; by default it is the plain one, in float32."""

    batch_norm: bool = False
    """Sums of every link are normalised over the batch, before pooling."""
    smooth: bool = False
    """Every batch is learnt with the recipe's noise on weights, and these are clipped as the recipe says."""
    gaussian: float = 0.0
    """Standard deviation of the noise on the pixels of every training image, which are clipped to [0, 1]: the
    augmentation of Ford et al. 2019, arXiv:1901.10513."""
    adversary: AdversaryName | None = None
    """Who attacks the training images (`models.train.adversary`)."""
    teacher: str | None = None
    """A network of the zoo, or a checkpoint, whose answers at rest are learnt in place of labels."""
    arithmetic: StateFormat = "float32"
    """What states are computed in while it learns; weights, the readout and the figures of manifests are float32."""

    def __post_init__(self) -> None:
        if not 0 <= self.gaussian <= 1:
            raise ValueError(f"gaussian is {self.gaussian}, expected a standard deviation of 0 to 1")
        if self.arithmetic not in get_args(StateFormat):
            raise ValueError(f"arithmetic is {self.arithmetic!r}, choose from {', '.join(get_args(StateFormat))}")
        adversary_of(self.adversary)

    @property
    def dtype(self) -> torch.dtype:
        """Of the states."""
        return torch.bfloat16 if self.arithmetic == "bfloat16" else torch.float32

    @property
    def suffix(self) -> str:
        """Of the name of such a twin."""
        parts = [
            "-student" if self.teacher is not None else "-twin",
            "-batch-norm" if self.batch_norm else "",
            "-smooth" if self.smooth else "",
            f"-gaussian-{self.gaussian:g}" if self.gaussian else "",
            f"-{self.adversary}" if self.adversary is not None else "",
        ]
        return "".join(parts)

    def check(self, recipe: Recipe) -> None:
        """Refuse what the recipe has nothing for; ValueError names it."""
        if self.smooth and not recipe.weight_noise and recipe.weight_limit is None:
            raise ValueError("smooth takes the weight_noise and weight_limit of a recipe, and this one has neither")

    def described(self) -> dict[str, Any]:
        """For manifests: two runs of one recipe with equal ones give equal weights."""
        return asdict(self)
