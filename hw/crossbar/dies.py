"""Several dies with one circuit on them settle together: one call of torch serves all, which a GPU needs to be fast.

What one die computes stays its own: its devices, its noise (from generators of its own, so that its answers do not
depend on the dies beside it), its gains, converters and biases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import RLock

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hw.circuit import checked_images
from hw.crossbar.link import CrossbarLink, TiledLink
from hw.crossbar.machine import Crossbar
from hw.crossbar.tiles.converters import Adc, AdcsOfDies, RoundingAdc
from hw.crossbar.tiles.fresh_noise import FreshNoise
from hw.crossbar.tiles.products import Heating, Part, Products, Read
from hw.crossbar.tiles.tile import Reading
from hw.dies import one_after_the_other
from hw.digital.machine import Digital
from hw.exclusive import exclusive
from hw.ledger import Ledger
from hw.machine import Settled, concatenate, split


class Dies:
    """Dies of one circuit and one design, prepared: they settle the same images, on the torch device of the first.

    `batch_size` images settle at a time on every die. ValueError for dies that differ in more than their draws.
    """

    def __init__(self, dies: Sequence[Crossbar]) -> None:
        if not dies:
            raise ValueError("no dies")
        first = dies[0]
        for number, other in enumerate(dies[1:], start=2):
            for name in ("design", "device", "batch_size"):
                if getattr(other, name) != getattr(first, name):
                    raise ValueError(f"die {number} differs from the first in its {name}: dies of one point are needed")
            if [link.matrix.shape for link in other.links] != [link.matrix.shape for link in first.links]:
                raise ValueError(f"die {number} holds another circuit than the first")
        self.dies, self.lock = tuple(dies), RLock()
        self.links = [LinkOfDies([die.links[index] for die in dies]) for index in range(len(first.links))]
        chain, own = len(first.circuit.wires), first.processor
        self.processor = Digital(
            first.circuit,
            self.links[:chain],
            self.links[chain] if len(self.links) > chain else None,
            steps=own.steps,
            batch_size=first.batch_size * len(dies),
            tolerance=own.tolerance,
            device=str(own.device),
        )

    def __repr__(self) -> str:
        return f"{len(self.dies)} dies together, the first: {self.dies[0]!r}"

    @exclusive
    def settle(self, images: ArrayLike) -> Settled:
        """What the dies answer to images (B, C, H, W) in [0, 1]: (dies B, ...), one die after the other, and the ledger
        of all of them."""
        images = checked_images(images, self.dies[0].circuit.input_shape)
        return one_after_the_other(
            [self._settle_batch(part) for part in split(images, self.dies[0].batch_size)], len(self.dies)
        )

    def __enter__(self) -> Dies:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held that needs freeing."""

    def _settle_batch(self, images: NDArray[np.floating]) -> Settled:
        for die in self.dies:
            die.begin()
        for link in self.links:
            link.begin()
        self._take_biases(len(images))
        settled = self.processor.settle(np.concatenate([images] * len(self.dies)))
        told = []
        for number, die in enumerate(self.dies):
            own = slice(number * len(images), (number + 1) * len(images))
            for held, of_all in zip(die.links, self.links, strict=True):
                held.log = [(name, Read(read.array_j[own], read.clipped[own])) for name, read in of_all.log]
            told.append(die.told(_part(settled, own)))
        whole = concatenate(told)
        return replace(whole, ledger=replace(whole.ledger, messages=settled.ledger.messages))

    def _take_biases(self, images: int) -> None:
        """Every die has biases of its own, once its offsets are corrected."""
        dynamics = [die.processor.dynamics for die in self.dies]
        own = [[*one.biases, one.readout_bias] for one in dynamics]
        for index, biases in enumerate(zip(*own, strict=True)):
            self.processor.dynamics.load_bias(index, torch.stack(biases).repeat_interleave(images, dim=0))


class LinkOfDies(TiledLink):
    """One wire on the tiles of several dies; its images are those of one die after the other."""

    def __init__(self, links: Sequence[CrossbarLink]) -> None:
        super().__init__(links[0].wire, links[0].one)
        self.links = tuple(links)
        self.begin()

    def begin(self) -> None:
        """Take what the dies compute during the settle that begins, and forget what was logged."""
        self.log.clear()
        self._products = together([link.products() for link in self.links])

    def products(self) -> Products:
        """Of all dies."""
        return self._products


def together(products: Sequence[Products]) -> Products:
    """Products of dies that hold the same matrix in the same places."""
    first = products[0]
    gains = np.stack([np.broadcast_to(one.gain, max(one.gain.shape for one in products)) for one in products])
    parts = [_parts(places) for places in zip(*(one.parts for one in products), strict=True)]
    heating = Heating(*(torch.stack([getattr(one.heating, way) for one in products]) for way in ("up", "down")))
    return replace(first, layout=first.layout.of_dies(), gain=gains, parts=tuple(parts), heating=heating)


def _parts(places: Sequence[Part]) -> Part:
    return replace(
        places[0],
        up=_readings([place.up for place in places]),
        down=_readings([place.down for place in places]),
        adc_up=_adcs([place.adc_up for place in places], places[0].up.weight),
        adc_down=_adcs([place.adc_down for place in places], places[0].down.weight),
        generators=tuple(generator for place in places for generator in place.generators),
    )


def _readings(readings: Sequence[Reading]) -> Reading:
    fresh, common = ([getattr(reading, name) for reading in readings] for name in ("fresh", "common"))
    return Reading(
        weight=torch.stack([reading.weight for reading in readings]),
        powers=tuple(map(torch.stack, zip(*(reading.powers for reading in readings), strict=True))),
        fresh=_noises(fresh),
        common=_noises(common),
        offset=_stacked([reading.offset for reading in readings]),
        conductance_s=torch.stack([reading.conductance_s for reading in readings]),
    )


def _noises(noises: Sequence[FreshNoise | None]) -> FreshNoise | None:
    variance = _stacked([None if noise is None else noise.variance for noise in noises])
    if variance is None:
        return None
    return FreshNoise(variance, _stacked([None if noise is None else noise.lifted for noise in noises]))


def _stacked(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """On one another; what one die lacks, and others have, is 0."""
    there = [tensor for tensor in tensors if tensor is not None]
    if not there:
        return None
    return torch.stack([torch.zeros_like(there[0]) if tensor is None else tensor for tensor in tensors])


def _adcs(adcs: Sequence[Adc], like: Tensor) -> Adc:
    """Converters of one place: all round, each by its own step, or none does."""
    rounding = [adc for adc in adcs if isinstance(adc, RoundingAdc)]
    if len(rounding) < len(adcs):
        return next(adc for adc in adcs if not isinstance(adc, RoundingAdc))
    steps = torch.as_tensor([adc.step for adc in rounding], dtype=like.dtype, device=like.device)
    return AdcsOfDies(rounding[0].bits, steps)


def _part(settled: Settled, own: slice) -> Settled:
    """Of some of the images; what was sent is left to the whole."""
    assert settled.steps is not None, "the processor has a clock"
    return replace(
        settled,
        logits=settled.logits[own],
        logits_by_step=settled.logits_by_step[:, own],
        states=tuple(layer[own] for layer in settled.states),
        steps=settled.steps[own],
        residual=settled.residual[own],
        ledger=Ledger(own.stop - own.start),
    )
