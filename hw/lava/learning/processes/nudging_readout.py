"""The nudging: knows the labels, pulls the last layer in nudged phases, and holds the readout, which learns."""

from __future__ import annotations

from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray
from scipy.special import softmax

from hw.circuit import Wire
from hw.kernels import build_kernel
from hw.lava.learning.gradients import averaged
from hw.lava.learning.learner import Learner, remembered
from hw.lava.learning.messages import ASSIGNED


class NudgingReadout(AbstractProcess):
    """pull_out = beta R^T (y - softmax(R s + r)) in nudged steps, zero in free ones, one time step after s came in.

    Without a readout, for a squared error, pull_out = beta y. Targets (K, B), one-hot, and assignments come in by
    external pipe; by external pipe leave how many free states were right, and after the last batch R and r.
    """

    def __init__(self, *, shape: tuple[int, ...], classes: int, batch: int, readout: Wire | None, **params: Any):
        super().__init__(shape_=shape, batch_size=batch, readout=readout, **params)
        self.s_in, self.pull_out = InPort((*shape, batch)), OutPort((*shape, batch))
        self.targets_in, self.hits_out = InPort((classes, batch)), OutPort((1,))
        self.assignment_in = InPort(ASSIGNED)
        self.weight_out = OutPort((classes, 1) if readout is None else readout.weight.shape)
        self.bias_out = OutPort((classes,))
        for port in (self.targets_in, self.assignment_in, self.hits_out, self.weight_out, self.bias_out):
            port.flag_external_pipe(buffer_size=2)


class _NudgingReadout(Learner):
    """The part that does not depend on the number format. Weights go through float BLAS, exactly for integers."""

    pulls: type[np.generic]
    """Of a pull."""
    scored: type[np.generic]
    """Of a score."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        readout, batch = proc_params["readout"], proc_params["batch_size"]
        self.kernel = None if readout is None else build_kernel(readout, readout.weight, batch)
        if readout is not None:
            self.weights = remembered(proc_params["weight_memory"], readout.weight)
            self.biases = remembered(proc_params["bias_memory"], proc_params["bias_"])
            self.offset: NDArray[Any] = self.biases.value.astype(self.scored)
        self.bias_terms: dict[int, NDArray[Any]] = {}
        self.state: NDArray[Any] = np.zeros((*proc_params["shape_"], batch))
        self.target: NDArray[Any] = np.zeros(0)
        self.resting: NDArray[Any] = np.zeros((*proc_params["shape_"], batch), self.pulls)

    def advance(self, tick: int) -> None:
        if tick == 0:
            self.assigned()
            self.target = self.receive("targets_in")
        beta = self.now.beta
        self.send("pull_out", self.pull(beta) if beta else self.resting)
        self.state = self.receive("s_in")
        if self.now.free_ends:
            right = self.scores().argmax(axis=0) == self.target.argmax(axis=0)
            self.send("hits_out", np.array([right[: self.images].sum()], np.int32))

    def scores(self) -> NDArray[Any]:
        """(K, B) class scores of the states that are there."""
        return self.state if self.kernel is None else self.kernel.up(self.state) + self.offset[:, None]

    def correlate(self, phases: tuple[int, ...]) -> None:
        if self.kernel is None:
            return
        errors = self.error().astype(np.float64)
        errors[:, self.images :] = 0
        products = self.kernel.correlate(self.state, errors)
        self.terms |= dict.fromkeys(phases, products)
        self.bias_terms |= dict.fromkeys(phases, errors.sum(axis=1))

    def learn(self) -> None:
        if self.kernel is None:
            return
        assignment = self.assignment
        weight = averaged(self.in_order(self.terms), self.images, self.one, self.one)
        bias = averaged(self.in_order(self.bias_terms), self.images, self.one, 1)
        learnt = self.weights.descend(weight, assignment.weight_rate, assignment.weight_decay, assignment.momentum)
        offset = self.biases.descend(bias, assignment.bias_rate, assignment.bias_decay, assignment.momentum)
        self.offset = offset.astype(self.scored)
        self.kernel.load(learnt)
        if assignment.last:
            self.send("weight_out", learnt)
            self.send("bias_out", self.offset)

    def error(self) -> NDArray[Any]:
        """(K, B) y - softmax of the scores, in the number format."""
        raise NotImplementedError

    def pull(self, beta: float) -> NDArray[Any]:
        """What the last layer is pulled by."""
        raise NotImplementedError


@implements(proc=NudgingReadout, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyNudgingReadoutFloat(_NudgingReadout):
    """In floating point."""

    pulls, scored = np.float32, np.float32
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    pull_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    targets_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    assignment_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    hits_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    weight_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    bias_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)

    def error(self) -> NDArray[Any]:
        return self.target - softmax(self.scores(), axis=0)

    def pull(self, beta: float) -> NDArray[Any]:
        return beta * (self.target if self.kernel is None else self.kernel.down(self.error()))


@implements(proc=NudgingReadout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyNudgingReadoutFixed(_NudgingReadout):
    """In integers: errors as codes with a sign, pulls on the accumulators of the last layer, whose binary point is
    `exponent`. The softmax itself is computed in floating point."""

    pulls, scored = np.int32, np.int64
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=9)
    pull_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    targets_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    assignment_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    hits_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    weight_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    bias_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def error(self) -> NDArray[Any]:
        scores = self.scores().astype(np.float64) * self.proc_params["logit_scale"]
        return np.rint(self.one * (self.target - softmax(scores, axis=0)))

    def pull(self, beta: float) -> NDArray[Any]:
        top = 2.0 ** self.proc_params["exponent"]
        if self.kernel is None:
            return np.rint(beta * self.one * top * self.target).astype(np.int32)
        sums = self.kernel.down(self.error()).astype(np.float64)
        return np.rint(beta * top * self.proc_params["logit_scale"] * self.one * sums).astype(np.int32)
