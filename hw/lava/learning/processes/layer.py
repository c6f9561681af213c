"""A layer that learns: its biases move by the contrast of its states."""

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

from hw.events.messages import COLUMNS
from hw.lava.learning.gradients import bias_products, contrasted
from hw.lava.learning.learner import Learner, remembered
from hw.lava.learning.messages import ASSIGNED
from hw.lava.neurons import fixed_neuron, fixed_output, float_neuron, float_output


class PlasticLayer(AbstractProcess):
    """s <- clip(a_in + b, 0, 1) through all phases, and after every batch  b <- b + rate / B sum_k c_k s(k).

    With `output` it is nudged by a squared error: s <- clip((a_in + b) / (1 + beta), 0, 1), where a_in holds the
    nudging's pull beta y. Events leave by external pipe after every batch, biases after the last.
    """

    def __init__(self, *, shape: tuple[int, ...], bias: NDArray[Any], batch: int, **params: Any) -> None:
        super().__init__(shape_=shape, bias_=bias, batch_size=batch, **params)
        self.a_in, self.s_out = InPort((*shape, batch)), OutPort((*shape, batch))
        self.bias = Var(bias.shape, init=bias)
        self.assignment_in, self.bias_out = InPort(ASSIGNED), OutPort(bias.shape)
        self.report_out = OutPort((2, params["steps"], len(COLUMNS)))
        for port in (self.assignment_in, self.bias_out, self.report_out):
            port.flag_external_pipe(buffer_size=2)


class _PlasticLayer(Learner):
    """The part that does not depend on the number format."""

    states: type[np.generic]
    """Of a state."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        shape = (*proc_params["shape_"], proc_params["batch_size"])
        self.state = self.last = self.free = self.zero = np.zeros(shape, self.states)
        self.events = np.zeros((2, self.steps, len(COLUMNS)))
        self.memory = remembered(proc_params["memory"], proc_params["bias_"])

    def advance(self, tick: int) -> None:
        if tick == 0:
            self.assigned()
        drive = self.receive("a_in")
        now = self.now
        if now.load == "zero":
            self.state = self.last = self.zero
        elif now.load == "free":
            # what was last sent is where the phase before came to, one step short of its end
            self.state = self.free
        else:
            nudged = now.beta != 0 and self.proc_params["output"]
            self.last, self.state = self.state, self.output(drive, now.beta) if nudged else self.neuron(drive)
        if now.free_ends:
            self.free = self.state
        self.send("s_out", self.state)
        if now.consumed is not None:
            self.events[0, now.consumed] = self.caused(self.state != 0)
            self.events[1, now.consumed] = self.caused(self.state != self.last)
        if tick == self.period - 1:
            self.send("report_out", self.events)

    def caused(self, active: NDArray[np.bool_]) -> NDArray[np.floating]:
        """(columns,) events of the messages of these units, without the padding."""
        counts = active[..., : self.images].sum(axis=-1).reshape(-1)
        events: NDArray[np.floating] = self.proc_params["traffic"] @ counts
        return events

    def correlate(self, phases: tuple[int, ...]) -> None:
        products = bias_products(self.state[..., : self.images])
        self.terms |= {phase: self.shares[phase] * products for phase in phases}

    def learn(self) -> None:
        assignment = self.assignment
        gradient = contrasted(self.in_order(self.terms), self.images, self.one)
        self.bias[...] = self.memory.descend(gradient, assignment.bias_rate, assignment.bias_decay, assignment.momentum)
        if assignment.last:
            self.send("bias_out", self.bias)

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        """Drive to state."""
        raise NotImplementedError

    def output(self, drive: NDArray[Any], beta: float) -> NDArray[Any]:
        """Drive to state of an output under a squared error."""
        raise NotImplementedError


@implements(proc=PlasticLayer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyPlasticLayerFloat(_PlasticLayer):
    """In floating point."""

    states = np.float32
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    assignment_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    bias_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    bias: np.ndarray = LavaPyType(np.ndarray, np.float32)

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        return float_neuron(drive, self.bias[..., None])

    def output(self, drive: NDArray[Any], beta: float) -> NDArray[Any]:
        return float_output(drive, self.bias[..., None], beta)


@implements(proc=PlasticLayer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPlasticLayerFixed(_PlasticLayer):
    """In integers."""

    states = np.int16
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    assignment_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    bias_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        return fixed_neuron(drive, self.bias[..., None], self.proc_params["exponent"], self.one)

    def output(self, drive: NDArray[Any], beta: float) -> NDArray[Any]:
        return fixed_output(drive, self.bias[..., None], self.proc_params["exponent"], self.one, beta)
