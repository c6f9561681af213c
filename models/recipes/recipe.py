"""A recipe: how a network is built and trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field, with_config

from models.data.augment import Border
from models.ep.gradient import Phases
from models.ep.network import Conv, Dense, Span
from models.fast.gradient import check_phases
from models.files.typed import STRICT
from models.train.adversary import AdversaryName, adversary_of

StateFormat = Literal["float32", "bfloat16"]
Optimizer = Literal["sgd", "adamw", "muon"]
MOST = 10**9
"""Of epochs, images and steps."""


@with_config(STRICT)
@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained network, besides the images and the seed."""

    data: str
    """Name of the data set, or the path of your own (`models.data.load_data`)."""
    layers: tuple[Annotated[Conv | Dense, Field(discriminator="kind")], ...]
    """The layers, from the bottom; a softmax readout comes on top."""
    learning_rates: tuple[float, ...]
    """Of every layer and of the readout, at the start: a cosine takes them to 0 over the epochs. Biases learn at the
    rate of their layer; beside Muon at `bias_rate`."""
    weight_decay: tuple[float, ...]
    """Of every layer and of the readout. Small weights settle fast: decay buys rest, most of all above layer 1."""
    epochs: int
    batch_size: int
    phases: Phases
    """How the EP gradient is taken."""
    skips: tuple[Span, ...] = ()
    """Residual links; they learn at the rate and decay of the layer they arrive at."""
    optimizer: Optimizer = "sgd"
    """Stochastic gradient descent with momentum, decay in the gradient; AdamW (Loshchilov & Hutter 2019), which needs
    no rate of its own for every layer, decay apart from the gradient; or Muon, which keeps the spectral norm of the
    weights of link l below about 1 / weight_decay[l], and so the network settling (`models.train.updates`)."""
    momentum: float = 0.9
    """Of AdamW, and what learns by it beside Muon: beta_1."""
    annealed_by: Literal["epoch", "batch"] = "epoch"
    """When the cosine lowers the rates. In few epochs by batch: by epoch the last one of three runs at a quarter."""
    bias_rate: float | None = None
    """Of the biases of all layers beside Muon, which gives them no decay; None with any other optimizer: those that
    suit the small states of upper layers are far below the readout's."""
    shift: int = 0
    """Augmentation: shift an image by up to this many pixels along each axis."""
    shift_chance: float = 0.5
    """Share of the images that are shifted at all."""
    shift_border: Border = "black"
    """What moves in at the border of a shifted image."""
    flip: bool = False
    """Augmentation: half of the images are mirrored left to right."""
    flip_alternates: bool = False
    """Every image is mirrored in every second epoch, half of them in the first, rather than by chance: two epochs show
    all images both ways (Jordan 2024, arXiv:2404.00498)."""
    normalise: bool = False
    """Learn on pixels less the mean over 3 standard deviations of their colour; the network saved takes pixels as they
    are (`models.train.normalisation`)."""
    whiten: bool = False
    """Learn on whitened patches of normalised pixels; the network saved has a plain first link
    (`models.train.whitening`)."""
    zero_mean: bool = False
    """Keep the mean of every filter at 0: what all units below have in common then moves nothing above."""
    averaged: float | None = None
    """Keep the average of the weights over the second half of the training, which forgets with this factor per batch
    (`models.train.averaging`); None keeps the last."""
    feedback: tuple[float, ...] | None = None
    """The dial: what comes from above over what comes from below that layers 1..L-1 are to reach at rest
    (`models.train.dial`); None leaves it to gradients and decay."""
    arithmetic: StateFormat = "float32"
    """What states are computed in, while weights are float32: float32 by `models.ep.gradient`, the reference, or
    bfloat16 by `models.fast`."""
    compiled: bool = False
    """Take the engine's gradient as one compiled program (`models.fast.compiled`): the same but for rounding."""
    steps: int = 40
    """Synchronous steps from zero that accuracy is measured after: the dynamics a clocked machine runs."""
    start: str | None = None
    """A network of the zoo, or a checkpoint, to go on from rather than drawn weights: noise and few bits are learnt to
    be borne in a fraction of the epochs that learning takes (Joshi et al. 2020, Nature Communications 11, 2473).
    With 64 channels in layer 1 of hw-cifar10-small: 74.5 % of the test images after 10 epochs at half the rates from a
    network that knew no noise, 74.6 % after 20 epochs from drawn weights."""
    watched: int | None = None
    """Validation images that are looked at after every epoch; None looks at all. The manifest measures all."""

    adversary: AdversaryName | None = None
    """Adversarial training: who attacks the images of every batch, with the network's own gradient by the image
    (`models.train.adversary`); None leaves them alone."""
    weight_noise: tuple[float, ...] = ()
    """Noise-aware training: c_0, c_1, ... of the programming noise of `models.train.weight_noise`; none by default."""
    weight_limit: float | None = None
    """Clip each weight tensor at so many of its standard deviations after every update; None clips nothing."""
    weight_bits: int | None = None
    """Quantization-aware training: all phases see weights of so many bits (`models.train.weight_rounding`); None rounds
    nothing."""

    @property
    def kernel(self) -> int:
        """Rows and columns of the filters of layer 1."""
        bottom = self.layers[0]
        assert isinstance(bottom, Conv)
        return bottom.kernel

    @property
    def engine_dtype(self) -> torch.dtype | None:
        """Of the states on `models.fast`; None for the reference, which has no engine."""
        return torch.bfloat16 if self.arithmetic == "bfloat16" else None

    def __post_init__(self) -> None:
        for name in ("learning_rates", "weight_decay"):
            values: tuple[float, ...] = getattr(self, name)
            if len(values) != len(self.layers) + 1:
                raise ValueError(
                    f"{name} has {len(values)} values, expected {len(self.layers) + 1}: "
                    f"one for each of {len(self.layers)} layers and one for the readout"
                )
            if not all(0 <= value < float("inf") for value in values):
                raise ValueError(f"{name} is {values}, expected finite values from 0")
        for name, least in (("epochs", 1), ("batch_size", 1), ("steps", 1), ("shift", 0), ("watched", 1)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")
            if getattr(self, name) is not None and getattr(self, name) > MOST:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at most {MOST}")
        if not all(abs(value) < float("inf") for value in self.weight_noise):
            raise ValueError(f"weight_noise is {self.weight_noise}, expected finite coefficients")
        shares = [index / 100 for index in range(101)]
        if any(sum(c * share**power for power, c in enumerate(self.weight_noise)) < 0 for share in shares):
            raise ValueError(f"weight_noise is {self.weight_noise}: a standard deviation below 0 for some weights")
        if self.weight_limit is not None and not 1 <= self.weight_limit < float("inf"):
            raise ValueError(f"weight_limit is {self.weight_limit}, expected at least 1 standard deviation")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}, expected 0 up to but not 1")
        if not 0 <= self.shift_chance <= 1:
            raise ValueError(f"shift_chance is {self.shift_chance}, expected 0 to 1")
        if self.optimizer not in get_args(Optimizer):
            raise ValueError(f"optimizer is {self.optimizer!r}, choose from {', '.join(get_args(Optimizer))}")
        if (self.optimizer == "muon") != (self.bias_rate is not None):
            expected = "a rate from 0" if self.optimizer == "muon" else "none"
            raise ValueError(f"bias_rate is {self.bias_rate}, expected {expected} with the optimizer {self.optimizer}")
        if self.bias_rate is not None and not 0 <= self.bias_rate < float("inf"):
            raise ValueError(f"bias_rate is {self.bias_rate}, expected a finite value from 0")
        if self.annealed_by not in ("epoch", "batch"):
            raise ValueError(f"annealed_by is {self.annealed_by!r}, choose from epoch, batch")
        if self.arithmetic not in get_args(StateFormat):
            raise ValueError(f"arithmetic is {self.arithmetic!r}, choose from {', '.join(get_args(StateFormat))}")
        self._check_preparation()
        self._check_dial()
        attacks = adversary_of(self.adversary) is not None
        if attacks or self.engine_dtype is not None:
            try:
                check_phases(self.phases)
            except ValueError as error:
                asked = f"adversary {self.adversary}" if attacks else f"arithmetic {self.arithmetic}"
                raise ValueError(f"{asked}: {error}") from None
        if self.compiled and self.engine_dtype is None:
            raise ValueError("compiled takes the arithmetic of the engine, bfloat16, not float32")
        if self.shift_border not in get_args(Border):
            raise ValueError(f"shift_border is {self.shift_border!r}, choose from {', '.join(get_args(Border))}")
        if self.weight_bits is not None and not 2 <= self.weight_bits <= 16:
            raise ValueError(f"weight_bits is {self.weight_bits}, expected 2 to 16, or none at all")

    def _check_preparation(self) -> None:
        if self.whiten and not (self.normalise and isinstance(self.layers[0], Conv)):
            raise ValueError("whiten takes normalised pixels (normalise = true) and a layer 1 of the kind conv")
        if self.flip_alternates and not self.flip:
            raise ValueError("flip_alternates says how images are mirrored, and flip is false")
        if self.averaged is not None and not 0 <= self.averaged < 1:
            raise ValueError(f"averaged is {self.averaged}, expected 0 up to but not 1, or none at all")

    def _check_dial(self) -> None:
        if self.feedback is None:
            return
        if len(self.feedback) != len(self.layers) - 1:
            raise ValueError(
                f"feedback has {len(self.feedback)} values, expected {len(self.layers) - 1}: "
                "one for each layer but the last"
            )
        if not all(0 <= share < 1 for share in self.feedback):
            raise ValueError(f"feedback is {self.feedback}, expected shares of 0 up to but not 1")
        if self.optimizer != "muon":
            raise ValueError(f"feedback needs the optimizer muon, which takes directions, not {self.optimizer}")
