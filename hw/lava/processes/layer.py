"""A layer: a population of hard-sigmoid neurons."""

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
from hw.lava.neurons import fixed_neuron, float_neuron
from hw.lava.ticking import Ticking, spikes


class Layer(AbstractProcess):
    """s <- clip(a_in + bias, 0, 1), where a_in adds up what the links below and above sent.

    By external pipe leave, per batch: the final states, the counted events with the residual in a last row, and, if
    traced, every state. With `rest` the layer reports which images still move and holds the states of those at rest.
    """

    def __init__(self, *, shape: tuple[int, ...], bias: NDArray[Any], batch: int, **params: Any) -> None:
        super().__init__(shape_=shape, batch_size=batch, **params)
        self.a_in, self.s_out = InPort((*shape, batch)), OutPort((*shape, batch))
        self.at_rest_in, self.moving_out = InPort((batch,)), OutPort((batch,))
        self.bias = Var(bias.shape, init=bias)
        self.state_out = OutPort((*shape, batch))
        self.report_out = OutPort((2 * params["steps"] * len(COLUMNS) + 1, batch))
        self.trace_out = OutPort((*shape, batch))
        for port in (self.state_out, self.report_out, *((self.trace_out,) if params["trace"] else ())):
            port.flag_external_pipe(buffer_size=2)


class _Layer(Ticking):
    """The part of the neuron that does not depend on the number format."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        shape, batch = proc_params["shape_"], proc_params["batch_size"]
        self.events = np.zeros((2, self.steps, len(COLUMNS), batch))
        self.residual, self.at_rest = np.zeros(batch), np.zeros(batch, bool)
        self.state: NDArray[Any] = np.zeros((*shape, batch), np.float32)
        self.last: NDArray[Any] = self.state
        self.spread_bias: NDArray[Any] = np.zeros(0)

    def advance(self, tick: int) -> None:
        drive = self.receive("a_in")
        if tick == 0:
            self.reset()
            # the drive belongs to the batch before: it is received and dropped
        else:
            self.follow(drive, tick)
        self.send("s_out", self.message())
        if tick < self.steps:
            self.count(tick)
        else:
            self.report()

    def reset(self) -> None:
        """Tick 0: all states are zero, nothing has been sent."""
        self.spread_bias = self.bias[..., None]
        self.state = self.last = self.resting_state()
        self.at_rest[:] = False
        if self.connected("at_rest_in"):
            self.receive("at_rest_in")
            self.send("moving_out", np.ones_like(self.at_rest, np.int32))

    def follow(self, drive: NDArray[Any], tick: int) -> None:
        """Tick t: the next state, unless the image is at rest."""
        self.last, fresh = self.state, self.neuron(drive)
        judged = self.connected("at_rest_in")
        if judged:
            self.at_rest = self.receive("at_rest_in") > 0
            fresh = np.where(self.at_rest, self.last, fresh) if self.at_rest.any() else fresh
        self.state = fresh
        if judged or tick == self.steps:
            moved = np.abs(fresh.astype(np.float64) - self.last).reshape(-1, len(self.residual)).max(axis=0)
            moved /= self.proc_params["one"]
            self.residual = np.where(self.at_rest, self.residual, moved)
        if judged:
            self.send("moving_out", (self.residual > self.proc_params["tolerance"]).astype(np.int32))
        if self.proc_params["trace"]:
            self.send("trace_out", fresh)

    def count(self, tick: int) -> None:
        """Events of the messages that go out now and that the next step consumes."""
        traffic = self.proc_params["traffic"]
        self.events[0, tick] = spikes(self.state != 0, traffic)
        self.events[1, tick] = spikes(self.changed(), traffic)

    def report(self) -> None:
        """Last tick: hand the batch over."""
        self.send("state_out", self.state)
        self.send("report_out", np.vstack([self.events.reshape(-1, len(self.residual)), self.residual]))

    def message(self) -> NDArray[Any]:
        """What goes on the wire: the state."""
        return self.state

    def changed(self) -> NDArray[np.bool_]:
        """Units whose state is not what it was one tick ago."""
        return self.state != self.last

    def resting_state(self) -> NDArray[Any]:
        """All zero, in the number format."""
        return np.zeros_like(self.state)

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        """Drive to state."""
        raise NotImplementedError


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLayerFloat(_Layer):
    """s = clip(a + b, 0, 1) in float32."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    at_rest_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    moving_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    state_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    trace_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    bias: np.ndarray = LavaPyType(np.ndarray, np.float32)

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        return float_neuron(drive, self.spread_bias)


class _FixedNeuron(_Layer):
    """s = clip((u + b) >> exponent, 0, one); 24-bit u and b, the half for rounding is in b."""

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        return fixed_neuron(drive, self.spread_bias, self.proc_params["exponent"], self.proc_params["one"])

    def resting_state(self) -> NDArray[Any]:
        return np.zeros(self.state.shape, np.int16)


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLayerFixed(_FixedNeuron):
    """Every state is sent at every step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    at_rest_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    moving_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    state_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    trace_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt_delta")
class PyLayerDelta(_FixedNeuron):
    """Only changes are sent: m = s - s_sent where |s - s_sent| >= threshold, else nothing; s_sent <- s_sent + m.

    The layer accumulates what arrives, u <- u + a_in. Links are linear, so u is the sum of W times all that was sent;
    at threshold 1 that is W s of the last step, and the states equal those of fixed precision in every bit.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    at_rest_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    moving_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    state_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    trace_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def reset(self) -> None:
        super().reset()
        self.sigma = np.zeros(self.state.shape, np.int32)
        self.sent = np.zeros_like(self.state)
        self.fired: NDArray[np.bool_] = np.zeros(self.state.shape, bool)

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        self.sigma += drive
        return super().neuron(self.sigma.copy())

    def message(self) -> NDArray[Any]:
        change = self.state - self.sent
        self.fired = np.abs(change) >= self.proc_params["threshold"]
        change *= self.fired
        self.sent += change
        return change

    def changed(self) -> NDArray[np.bool_]:
        return self.fired
