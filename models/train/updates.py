"""Updates: the optimizers of a run, and what they remember between batches.

sgd and adamw change all tensors alike. muon is for the weights of links: of every matrix (C_above, C_below kh kw) it
takes the steepest step of a given spectral norm (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon),

    W <- (1 - rate decay) W - rate U V^T,      U S V^T the momentum,

(longer by the root of rows over columns where W is tall), so that ||W||_2 comes to at most about 1 / decay. The loop
gain of a settling network is made of these norms (`models.ep.contraction`): the decay sets how fast it comes to rest,
whatever it has learnt. Biases and the readout, where no loop passes, learn by adamw beside it, each at its own rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi
from typing import Any

from torch import Tensor
from torch.optim import SGD, AdamW, Muon, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from models.ep.gradient import Gradient
from models.recipes import Recipe
from models.train.state import TrainingState, by_muon, remembered

ADAM_BETA_2 = 0.99
"""Memory of squared gradients: 100 batches, since few epochs leave no time for the usual 1,000."""
Tensors = Mapping[str, Tensor]


class Updates:
    """Changes `parameters` in place; a cosine takes all rates to 0 over the epochs."""

    def __init__(self, parameters: Tensors, recipe: Recipe) -> None:
        self._recipe, self._parameters = recipe, parameters
        # Muon takes matrices: it changes a kernel through a view as one
        matrices = {name: tensor.flatten(1) for name, tensor in parameters.items() if by_muon(recipe.optimizer, name)}
        self._held = {**parameters, **matrices}
        rest = {name: tensor for name, tensor in parameters.items() if name not in matrices}
        self._optimizers: dict[str, Optimizer] = {}
        if matrices:
            self._optimizers["muon"] = Muon(_groups(matrices, recipe), momentum=recipe.momentum)
        other = "sgd" if recipe.optimizer == "sgd" else "adamw"
        if other == "sgd":
            self._optimizers[other] = SGD(_groups(rest, recipe), momentum=recipe.momentum)
        else:
            self._optimizers[other] = AdamW(_groups(rest, recipe), betas=(recipe.momentum, ADAM_BETA_2))
        self._memory = {name: self._optimizers["muon" if name in matrices else other].state for name in parameters}
        self._cosines = {name: CosineAnnealingLR(one, recipe.epochs) for name, one in self._optimizers.items()}

    def apply(self, gradient: Gradient) -> None:
        """One step down the gradient of every tensor."""
        for name, tensor in self._held.items():
            slope = gradient[name].reshape(tensor.shape)
            tensor.grad = centered(slope) if self._recipe.zero_mean and _of_filters(name) else slope
        for optimizer in self._optimizers.values():
            optimizer.step()
        if self._recipe.zero_mean:
            center_filters(self._parameters)

    def anneal(self, progress: float) -> None:
        """Rates as the cosine has them when this part (0 to 1) of a training that is annealed by batch is done."""
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * (1 + cos(pi * progress)) / 2

    def end_epoch(self) -> None:
        """Lower the rates."""
        for cosine in self._cosines.values():
            cosine.step()

    @property
    def moments(self) -> dict[str, dict[str, Tensor]]:
        """What is remembered of every tensor, by the optimizers' own names; nothing is before the first step."""
        moments = {}
        for name, tensor in self._held.items():
            kept, shaped = self._memory[name][tensor], self._parameters[name]
            keys = remembered(self._recipe.optimizer, self._recipe.momentum, name)
            moments[name] = {key: _like(shaped, kept[key], key) for key in keys}
        return moments

    @property
    def schedule(self) -> dict[str, Any]:
        """Where the cosine of every optimizer is, as JSON."""
        return {name: cosine.state_dict() for name, cosine in self._cosines.items()}

    def put_back(self, state: TrainingState) -> None:
        """Remember what the run that left this state did."""
        for name, tensor in self._held.items():
            for key, kept in state.moments[name].items():
                self._memory[name][tensor][key] = _like(tensor, kept, key)
        for name, optimizer in self._optimizers.items():
            cosine = self._cosines[name]
            cosine.load_state_dict(state.schedule[name])
            for group, rate in zip(optimizer.param_groups, cosine.get_last_lr(), strict=True):
                group["lr"] = rate


def centered(filters: Tensor) -> Tensor:
    """Filters (C_above, ...) less the mean of each."""
    return filters - filters.flatten(1).mean(dim=1).view(-1, *[1] * (filters.ndim - 1))


def center_filters(parameters: Tensors) -> None:
    """Take the mean of every filter of every link to 0, in place."""
    for name, tensor in parameters.items():
        if _of_filters(name):
            tensor.copy_(centered(tensor))


def _of_filters(name: str) -> bool:
    return name.endswith(".weight") and not name.startswith(("readout", "norm"))


def _groups(tensors: Tensors, recipe: Recipe) -> list[dict[str, Any]]:
    """Every tensor with its rate and decay."""
    groups = []
    for name, tensor in tensors.items():
        rate, decay = _rate_and_decay(name, recipe)
        groups.append({"params": [tensor], "lr": rate, "weight_decay": decay})
    return groups


def _like(tensor: Tensor, kept: Tensor, key: str) -> Tensor:
    """A moment in the shape and on the device of its tensor; the count of steps stays as it is."""
    return kept if key == "step" else kept.reshape(tensor.shape).to(tensor.device)


def _rate_and_decay(name: str, recipe: Recipe) -> tuple[float, float]:
    """Of a link its layer's, of a skip those where it arrives; biases of layers have their own beside Muon.

    What a twin's batch normalisation learns (`models.twin.batch_norm`) counts as biases of the layer and does not
    decay.
    """
    owner, kind = name.split(".")
    if owner == "readout":
        return recipe.learning_rates[-1], recipe.weight_decay[-1]
    if recipe.bias_rate is not None and kind != "weight":
        return recipe.bias_rate, 0.0
    number = int(owner.removeprefix("link").removeprefix("skip").removeprefix("norm"))
    layer = recipe.skips[number - 1].target if owner.startswith("skip") else number
    return recipe.learning_rates[layer - 1], 0.0 if owner.startswith("norm") else recipe.weight_decay[layer - 1]
