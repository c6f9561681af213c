"""Moves of the states around a state of rest, and what they send up and down.

Convolutions are linear, and so is what pools at held switches: they take moves as they take states. What a layer makes
of the moves that arrive, and what pulls at the last one, is what the two uses differ in: nudged phases
(`models.fast.nudging`) and the gradient by the image (`models.fast.adjoint`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from models.fast.settling import Engine
from models.fast.stages import chosen


class Moves(ABC):
    """Moves on their way, and what they send up and down, which stays valid until they change."""

    def __init__(self, engine: Engine, switches: Sequence[Tensor | None]) -> None:
        layers = len(engine.stages)
        self.engine, self.switches = engine, switches
        self.moves: list[Tensor | None] = [None] * layers
        self.from_below: list[Tensor | None] = [None] * layers
        self.from_above: list[Tensor | None] = [None] * layers

    @abstractmethod
    def taken(self, layer: int, parts: Sequence[Tensor]) -> Tensor:
        """The move (N, H, W, C) of a layer that receives these, at least one."""

    @abstractmethod
    def pulled(self) -> Tensor:
        """(N, H, W, C) pull on the last layer from outside."""

    def update(self, layer: int) -> None:
        """One layer takes on the moves that all it receives asks for; nothing received moves nothing."""
        parts = [part for part in (self._below(layer), self._above(layer)) if part is not None]
        parts += self.engine.residuals(layer, self.moves)
        if not parts:
            return
        self.moves[layer] = self.taken(layer, parts)
        if layer + 1 < len(self.moves):
            self.from_below[layer + 1] = None
        if layer > 0:
            self.from_above[layer - 1] = None

    def _below(self, layer: int) -> Tensor | None:
        if layer > 0 and self.from_below[layer] is None:
            below = self.moves[layer - 1]
            if below is not None:
                sums = self.engine.stages[layer].up_change(below)
                self.from_below[layer] = chosen(sums, self.switches[layer])
        return self.from_below[layer]

    def _above(self, layer: int) -> Tensor | None:
        if layer + 1 == len(self.moves):
            return self.pulled()
        above = self.moves[layer + 1]
        if above is not None and self.from_above[layer] is None:
            self.from_above[layer] = self.engine.down(layer, above, self.switches[layer + 1])
        return self.from_above[layer]
