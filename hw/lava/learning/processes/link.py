"""A link that learns: its weights move by the contrast of the states it joins."""

from __future__ import annotations

from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from hw.circuit import Wire
from hw.lava.learning.gradients import contrasted
from hw.lava.learning.learner import Learner, remembered
from hw.lava.learning.messages import ASSIGNED
from hw.lava.processes.link import FixedLinkModel, FloatLinkModel, LinkModel


class PlasticLink(AbstractProcess):
    """A link, and after every batch  W <- W + rate / B sum_k c_k s_above(k) s_below(k)^T  over the ends of its phases.

    Assignments come in by external pipe, and the weights leave by one after the last batch. The link of the input
    hears the layer above it too, to learn; it still sends nothing downwards.
    """

    def __init__(self, *, wire: Wire, batch: int, **params: Any) -> None:
        super().__init__(wire=wire, batch_size=batch, **params)
        self.s_below, self.s_above = InPort((*wire.below, batch)), InPort((*wire.above, batch))
        self.a_up, self.a_down = OutPort((*wire.above, batch)), OutPort((*wire.below, batch))
        self.weight = Var(wire.weight.shape, init=wire.weight)
        self.assignment_in, self.weight_out = InPort(ASSIGNED), OutPort(wire.weight.shape)
        for port in (self.assignment_in, self.weight_out):
            port.flag_external_pipe(buffer_size=2)


class _PlasticLink(Learner, LinkModel):
    """The part that does not depend on the number format."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        wire: Wire = proc_params["wire"]
        self.memory = remembered(proc_params["memory"], wire.weight)
        self.joined: tuple[NDArray[Any], NDArray[Any]] = (np.zeros(0), np.zeros(0))

    def advance(self, tick: int) -> None:
        if tick == 0:
            self.assigned()
        super().advance(tick)
        below = self.held["s_below"][0]
        # the link of the input passes nothing down, and so far has not listened
        above = self.held["s_above"][0] if self.connected("a_down") else self.receive("s_above")
        self.joined = (below, above)

    def correlate(self, phases: tuple[int, ...]) -> None:
        below, above = (states.copy() for states in self.joined)
        above[..., self.images :] = 0
        products = self.kernel.correlate(below, above)
        self.terms |= {phase: self.shares[phase] * products for phase in phases}

    def learn(self) -> None:
        assignment = self.assignment
        gradient = contrasted(self.in_order(self.terms), self.images, self.one**2)
        self.weight[...] = self.memory.descend(
            gradient, assignment.weight_rate, assignment.weight_decay, assignment.momentum
        )
        self.kernel.load(self.weight)
        self.held.clear()  # the sums that are there are those of the weights before
        if assignment.last:
            self.send("weight_out", self.weight)


@implements(proc=PlasticLink, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyPlasticLinkFloat(_PlasticLink, FloatLinkModel):
    """In floating point."""

    assignment_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    weight_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)


@implements(proc=PlasticLink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPlasticLinkFixed(_PlasticLink, FixedLinkModel):
    """In integers: the accumulator of a weight has bits to spare, changes are rounded at random (`FixedMemory`)."""

    assignment_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    weight_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
