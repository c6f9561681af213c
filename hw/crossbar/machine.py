"""The crossbar machine: a digital processor whose products are read off tiles of noisy devices.

Every link sits on tiles of its own, which serve both directions. The synchronous dynamics are those of the digital
machine: step t reads the states of step t - 1. With digital neurons every product is converted; with analog neurons
only the images that come in and the answer that goes out are. The input never changes: the first link is read
once per image and its drive held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add
from threading import RLock
from types import TracebackType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hw.circuit import Circuit, FloatNeuron, Weights, checked_images
from hw.crossbar.counting import Chip, learning_events, settle_events
from hw.crossbar.devices.device import Array
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.learning import agreement, check_rule, outers_of, shift_biases, too_large, totals, worn_out
from hw.crossbar.link import links_of
from hw.crossbar.ranges import integer_ranges
from hw.crossbar.remedies import Remedies, check_drives, missing_drives
from hw.crossbar.tiles.converters import MissingAdc, drive
from hw.crossbar.tiles.tile import Tile, metered
from hw.crossbar.updates.rewriting import Rewriting
from hw.crossbar.updates.update import Update, Writer
from hw.digital.machine import Digital
from hw.digital.phases import Ends, run_phases
from hw.events.tiles import NO_WRITES, ProgrammingEvents
from hw.exclusive import exclusive
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Learned, LearningRule, LearningStoppedError, joined
from hw.machine import Settled, concatenate, split

CALIBRATE_EVERY = 32
"""Updates between two looks at what the converters see while weights change; more often at the beginning."""
LEARNING_PERCENT = 99.9
"""Percentile of what converters see in all phases that their ranges are set to."""
REWRITING = Rewriting()
"""How changes are written by default: any device can be programmed anew."""


class Crossbar:
    """Settles a circuit on tiles, programmed when made.

    Noise comes from three places: the `seed` of its fabrication fixes everything that programming does, `noise_seed`
    the slow noise, drawn anew for every batch (which is one settle), and the fresh noise of every read. One pair of
    seeds and one sequence of calls give one answer. The range of the devices stands for `headroom` times the largest
    weight of a link; `update` is how learnt changes are written.
    """

    def __init__(
        self,
        circuit: Circuit,
        fabrication: Fabrication,
        *,
        steps: int,
        batch_size: int = 256,
        tolerance: float | None = None,
        update: Update = REWRITING,
        torch_device: str = "cpu",
    ) -> None:
        """`torch_device` computes reads and draws their fresh noise; what is rare (programming, ageing, the slow noise
        of a settle, wires) is computed on the CPU. Other devices draw other numbers of the same law."""
        design, device, headroom = fabrication.design, fabrication.device, fabrication.headroom
        program_given = not isinstance(circuit.neuron, FloatNeuron)
        if program_given and design.neurons == "analog":
            raise ValueError(
                "neurons 'analog' have no integers: a program rounds its states at every step, give the network"
            )
        if program_given and headroom != 1:
            raise ValueError(f"headroom is {headroom}: a program's integers have their range, it must be 1")
        self.circuit, self.design, self.device, self.batch_size = circuit, design, device, batch_size
        self.lock = RLock()
        # dies are (seed, link, tile), fresh noise (noise_seed, 1, link, tile), and zeros at the end do not tell seeds
        # apart: this one is none of them, also where the two seeds are the same
        self.slow = np.random.default_rng([*fabrication.noise_seed, 0, 0, 1])
        self.links = links_of(circuit, fabrication)
        for tile in self._tiles():
            tile.compute_on(torch_device)
        chain = self.links[: len(circuit.wires)]
        readout = None if circuit.readout is None else self.links[-1]
        self.seed, self.update = fabrication.seed, update
        self.writers: list[Writer] = []
        self._updates = 0
        self._written = self.programming()
        self.processor = Digital(
            circuit, chain, readout, steps=steps, batch_size=batch_size, tolerance=tolerance, device=torch_device
        )

    def __repr__(self) -> str:
        design, tiles = self.design, self._tiles()
        ranges = ", no ranges yet" if any(isinstance(tile.adc_up, MissingAdc) for tile in tiles) else ""
        chip = f"{len(tiles)} tiles of {design.rows} x {design.columns} {self.device.name}, seed {self.seed[0]}"
        adc = "ideal converters" if design.adc_bits is None else f"{design.adc_bits} bit converters{ranges}"
        when = f"{tiles[0].array.seconds:g} s after programming"
        return f"Crossbar, {chip}, {adc}, {when}, {self.processor.steps} steps, {self.circuit!r}"

    @property
    def names(self) -> tuple[str, ...]:
        """link1, link2, ..., readout."""
        chain = [f"link{index}" for index in range(1, len(self.circuit.wires) + 1)]
        return tuple(chain) if self.circuit.readout is None else (*chain, "readout")

    @exclusive
    def settle(self, images: ArrayLike, *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, C, H, W) in [0, 1]."""
        images = checked_images(images, self.circuit.input_shape)
        return concatenate([self._settle_batch(part, trace) for part in split(images, self.batch_size)])

    @exclusive
    def age(self, seconds: float, kelvin: float | None = None) -> None:
        """Read the die `seconds` after programming from now on, at a temperature.

        Converter ranges and the gains of `compensate_drift` stay as they were set: they do not follow the time since.
        Raises ValueError, and changes nothing, for a time or temperature at which the device or the wires have none.
        """
        for tile in self._tiles():
            tile.aged(seconds, kelvin)
        for link in self.links:
            link.matrix.age(seconds, kelvin)

    @exclusive
    def prepare(
        self,
        images: ArrayLike,
        remedies: Remedies,
        *,
        age_s: float = 3600.0,
        kelvin: float | None = None,
        reference: Digital | None = None,
    ) -> None:
        """Age the die and apply remedies in the order that they build on each other: gains, ranges of the converters,
        offsets, and ranges again, since offsets move what the converters see.

        `images` are calibration images, (B, C, H, W) in [0, 1]; `reference` is the same circuit on a digital machine,
        for `offset_correction` alone. What the chip reads for its remedies is not in any ledger. Raises ValueError, and
        changes nothing, for what `age` refuses and for remedies that this die cannot have.
        """
        images = checked_images(images, self.circuit.input_shape)
        remedies.check(self.design, reference)
        self.age(age_s, kelvin)
        if remedies.drift_compensation:
            self.compensate_drift(by_column=remedies.column_gains)
        self.set_ranges(images, remedies)
        if remedies.offset_correction:
            assert reference is not None, "checked above"
            self.correct_offsets(reference, images)
            self.set_ranges(images, remedies)

    @exclusive
    def set_ranges(self, images: ArrayLike, remedies: Remedies) -> None:
        """Give the converters their ranges, as remedies say: again after everything that changes what they see."""
        if remedies.adc_calibration:
            self.calibrate(images)
        else:
            self.worst_ranges()

    @exclusive
    def compensate_drift(self, *, by_column: bool = False) -> dict[str, float]:
        """Drift compensation: scale every link's results by what it has lost of what it computed when last written.

        How that is measured is said in `hw.crossbar.tiles.gain`; the reads are not in any ledger. The gains hold until
        this is called again, also if the die ages further. Digital neurons multiply converted results by them; analog
        neurons have them in the amplifiers that take their currents. Returns the gain of every link, the mean of those
        of its columns where these have their own.
        """
        for link in self.links:
            link.matrix.compensate(by_column=by_column)
        return {name: float(link.matrix.gain.total.mean()) for name, link in zip(self.names, self.links, strict=True)}

    @exclusive
    @torch.no_grad()
    def correct_offsets(self, reference: Digital, images: ArrayLike) -> None:
        """Shift every digital bias by what its channel misses on this die, on average over calibration images.

        The states that `reference`, the same circuit on a digital machine, settles to are put on the die for
        `OFFSET_READS` reads of every link both ways (`hw.crossbar.remedies`), each with slow noise of its own, since
        what is left of that noise in the mean stays in the bias:  b_c += mean over reads, images and positions (drive_c
        of the reference - drive_c read), and likewise for the scores. Errors of single devices stay; what they add up
        to, where states are rarely 0, goes (the idea of the adaptive batch normalisation of Joshi et al., Nat. Commun.
        11:2473, 2020). It holds until the die changes: call it again then. Converters must have their ranges before.

        Raises:
            ValueError: with analog neurons, whose drives are not converted.
        """
        check_drives(self.design)
        images = checked_images(images, self.circuit.input_shape)
        own, codes = self.processor.dynamics, self.circuit.encode(images)
        missing = missing_drives(self.links, own, reference, images, codes, self.slow)
        for index, (bias, shift) in enumerate(zip((*own.biases, own.readout_bias), missing, strict=True)):
            # integers stay integers
            own.load_bias(index, bias + (shift if own.arithmetic.dtype is torch.float32 else shift.round()))

    @exclusive
    def calibrate(self, images: ArrayLike, percent: float = 99.9) -> None:
        """Set every converter's range to a percentile of what it sees while calibration images settle.

        All conversions of the settle count, those of the first step, when states are zero, like the others: of these
        images about 100 - `percent` % of the conversions of a tile will be clipped.
        """
        self._metered(lambda: self.settle(images), percent)

    @exclusive
    @torch.no_grad()
    def learn(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule) -> Learned:
        """One pass over images (N, C, H, W) with labels (N,): every batch changes the devices as `update` does.

        Weights live on the devices alone; biases are digital. Converter ranges follow what the phases cause, seen on
        the batch about to be learnt from. Raises `LearningStoppedError`, with what was learnt so far on the die and in
        the error, where an update would leave the range of the devices at once or a device is worn out.
        """
        images, labels = checked_images(images, self.circuit.input_shape), np.asarray(labels)
        rule.check(self.circuit, labels, len(images))
        check_rule(rule, self.circuit.neuron, self.design)
        self.update.check(self.device, self.design)
        if not self.writers:
            self.begin_writing()
        sums = [np.zeros(link.matrix.shape) for link in self.links]
        before = [link.matrix.shown() for link in self.links]
        done: list[Learned] = []
        size = rule.batch_size
        if (stop := self._worn_out()) is not None:  # before the first write of a die that stopped in an earlier pass
            raise LearningStoppedError(stop, None)
        for batch, targets in zip(split(images, size), split(labels, size), strict=True):
            stop = self._learn_batch(batch, targets, rule, sums, done)
            if stop is not None:
                raise LearningStoppedError(stop, joined(done) if done else None)
        return replace(joined(done), agreement=agreement(sums, before, self.links))

    def begin_writing(self) -> None:
        """Make what writes each link, beginning at what the devices were aimed at."""
        self.writers = [
            self.update.writer(link.matrix, (*self.seed, 2, index, 1)) for index, link in enumerate(self.links)
        ]

    @exclusive
    @torch.no_grad()
    def weight_changes(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule) -> tuple[Array, ...]:
        """(outputs, inputs) change that one update from these images asks of every link; nothing is written."""
        images, labels = checked_images(images, self.circuit.input_shape), np.asarray(labels)
        rule.check(self.circuit, labels, len(images))
        check_rule(rule, self.circuit.neuron, self.design)
        ends = self._phases(images, labels, rule.phases)
        return tuple(totals(outers_of(self.links, len(self.circuit.wires), ends, rule)))

    @exclusive
    @torch.no_grad()
    def calibrate_phases(self, images: NDArray[np.floating], labels: NDArray[np.integer], phases: UpdatePhases) -> None:
        """Set every converter's range by what it sees in all phases of an update from these images."""
        self._metered(lambda: self._phases(images, labels, phases), LEARNING_PERCENT)

    @exclusive
    def read_weights(self) -> Weights:
        """What the devices hold now, as digital results show it, and the biases."""
        dynamics = self.processor.dynamics
        weights = [link.matrix.shown().reshape(link.wire.weight.shape) for link in self.links]
        biases = [*dynamics.biases, *(() if self.circuit.readout is None else (dynamics.readout_bias,))]
        return Weights(tuple(weights), tuple(bias.cpu().numpy() for bias in biases))

    @exclusive
    def writes(self) -> NDArray[np.int64]:
        """Writes every device has had since it was first programmed, all tiles in one row; a way to write that has
        matrices of its own adds theirs."""
        own = [matrix for writer in self.writers for matrix in writer.matrices[1:]]
        matrices = [*(link.matrix for link in self.links), *own]
        return np.concatenate([tile.array.writes.ravel() for matrix in matrices for tile in matrix.tiles])

    def _metered(self, run: Callable[[], object], percent: float) -> None:
        """Set every converter's range to a percentile of what it sees during a run through ideal ones."""
        written = self._written
        try:
            with metered(self._tiles(), percent):
                run()
        finally:
            self._written = written  # not for the ledger of a calibration, which nobody sees

    def _tiles(self) -> list[Tile]:
        return [tile for link in self.links for tile in link.matrix.tiles]

    @exclusive
    def worst_ranges(self) -> None:
        """Give every converter the range that no input could leave, were the devices perfect."""
        for tile in self._tiles():
            tile.set_ranges(tile.worst_up, tile.worst_down)

    @exclusive
    def integer_ranges(self) -> None:
        """Give every converter of a program the step of one integer; how, and what is refused: `hw.crossbar.ranges`."""
        integer_ranges(dict(zip(self.names, self.links, strict=True)), self.circuit.neuron, self.design)

    @exclusive
    def programming(self) -> ProgrammingEvents:
        """What it took to write all tiles once."""
        return reduce(add, (tile.array.events for tile in self._tiles()))

    @exclusive
    def mismatch(self) -> dict[str, float]:
        """||W_down^T - W_up|| / ||W_up|| of every link that is read both ways (Frobenius norms).

        Above zero, the dynamics have no energy function any more.
        """
        both = list(zip(self.names, self.links, strict=True))[1 : len(self.circuit.wires)]
        return {name: link.matrix.mismatch() for name, link in both}

    @exclusive
    def kappa(self) -> dict[str, float]:
        """Largest load of the wires of any tile of every link; see `hw.crossbar.tiles.wires`."""
        return {
            name: max(tile.kappa() for tile in link.matrix.tiles)
            for name, link in zip(self.names, self.links, strict=True)
        }

    def __enter__(self) -> Crossbar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """A simulated crossbar holds nothing that needs freeing."""

    def _settle_batch(self, images: NDArray[np.floating], trace: bool) -> Settled:
        self.begin()
        return self.told(self.processor.settle(images, trace=trace))

    def begin(self) -> None:
        """Draw the slow noise of the settle that begins, and count it from nothing."""
        for link in self.links:
            link.matrix.begin(self.slow)
            link.log.clear()

    def told(self, settled: Settled) -> Settled:
        """What the processor settled to, as the chip gives it away, with the events that its links logged."""
        if self.design.neurons == "analog" and self.circuit.readout is None:
            # states lie in [0, 1]: what converts them needs no sign, and has the steps of a driver
            logits, by_step = (
                drive(torch.as_tensor(states, device="cpu"), self.design.adc_bits).cpu().numpy()
                for states in (settled.logits, settled.logits_by_step)
            )
            settled = replace(settled, logits=logits, logits_by_step=by_step)
        written, self._written = self._written, NO_WRITES
        assert settled.steps is not None
        events = settle_events(self.chip(), settled.steps, written)
        return replace(settled, ledger=replace(settled.ledger, arithmetic=None, tiles=events))

    def chip(self) -> Chip:
        """Its links on their tiles, as `hw.crossbar.counting` counts them."""
        return Chip(self.names, self.links, self.design, self.device, len(self.circuit.wires), self.circuit.feedback)

    def _learn_batch(
        self,
        images: NDArray[np.floating],
        labels: NDArray[np.integer],
        rule: LearningRule,
        sums: list[Array],
        done: list[Learned],
    ) -> str | None:
        """One update: add to `sums` (changes by link) and `done`; returns why learning has to stop, if it has to."""
        if self._updates % CALIBRATE_EVERY == 0 or self._updates in (1, 2, 4, 8, 16):
            self.calibrate_phases(images, labels, rule.phases)
        ends = self._phases(images, labels, rule.phases)
        chain = len(self.circuit.wires)
        by_link = outers_of(self.links, chain, ends, rule)
        changes = totals(by_link)
        for name, link, change in zip(self.names, self.links, changes, strict=True):
            if (reason := too_large(name, link, change)) is not None:
                return reason
        for index, writer in enumerate(self.writers):
            self._written = self._written + writer.write(by_link[index])
            sums[index] += changes[index]
        shift_biases(self.processor.dynamics, ends, rule)
        self._updates += 1
        written, self._written = self._written, NO_WRITES
        events = learning_events(self.chip(), len(images), rule.phases.steps, written)
        ledger = replace(ends.ledger, arithmetic=None, tiles=events)
        done.append(Learned(len(images), ends.hits, ledger))
        return self._worn_out()

    def _worn_out(self) -> str | None:
        """Why nothing may be written any more, or None."""
        reasons = (
            worn_out(name, writer.matrices, self.device) for name, writer in zip(self.names, self.writers, strict=True)
        )
        return next(filter(None, reasons), None)

    def _phases(self, images: NDArray[np.floating], labels: NDArray[np.integer], phases: UpdatePhases) -> Ends:
        self.begin()
        return run_phases(self.processor.dynamics, images, labels, phases)
