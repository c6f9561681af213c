"""A link: one weight tensor, sent through in both directions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from hw.kernels import build_kernel
from hw.lava.ticking import Ticking


class Link(AbstractProcess):
    """a_up = W s_below, a_down = W^T s_above, one time step after the states came in.

    Weight tying is exact by construction: there is one tensor, `weight`. The link of the input is not connected
    downwards, and then computes nothing downwards.
    """

    def __init__(self, *, wire: Wire, batch: int, **params: Any) -> None:
        super().__init__(wire=wire, batch_size=batch, **params)
        self.s_below, self.s_above = InPort((*wire.below, batch)), InPort((*wire.above, batch))
        self.a_up, self.a_down = OutPort((*wire.above, batch)), OutPort((*wire.below, batch))
        self.weight = Var(wire.weight.shape, init=wire.weight)


class LinkModel(Ticking):
    """Sends the sums of the last time step, then receives states and computes the next sums.

    Sending first keeps cycles of processes free of deadlock (Lava's own Dense does the same). States that did not
    change since the last time step (a clamped input, a batch at rest) give the sums that are already there.
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        wire, batch = proc_params["wire"], proc_params["batch_size"]
        self.kernel = build_kernel(wire, wire.weight, batch)
        self.side = ThreadPoolExecutor(max_workers=1)
        self.held: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
        self.sums = {"a_up": np.zeros((*wire.above, batch)), "a_down": np.zeros((*wire.below, batch))}

    def advance(self, tick: int) -> None:  # noqa: ARG002 - a link does the same at every tick
        wire: Wire = self.proc_params["wire"]
        for port in ("a_up", "a_down"):
            if self.connected(port):
                self.send(port, self.sums[port])
        below = self.receive("s_below")
        if not (self.connected("s_above") and self.connected("a_down")):
            self.sums["a_up"] = self.passed("s_below", below, self.kernel.up, wire.up_shift)
            return
        above = self.receive("s_above")
        if wire.pooling == "max":
            # the winners of `up` steer `down`, and they move with the states below even where those above rest
            self.sums["a_up"] = self.passed("s_below", below, self.kernel.up, wire.up_shift)
            self.held.pop("s_above", None)
            self.sums["a_down"] = self.passed("s_above", above, self.kernel.down, wire.down_shift)
            return
        # both directions at once: BLAS lets go of the interpreter, and the layers wait for the later of the two
        down = self.side.submit(self.passed, "s_above", above, self.kernel.down, wire.down_shift)
        self.sums["a_up"] = self.passed("s_below", below, self.kernel.up, wire.up_shift)
        self.sums["a_down"] = down.result()

    def passed(
        self, port: str, states: NDArray[Any], operator: Callable[[NDArray[Any]], NDArray[Any]], shift: int
    ) -> NDArray[Any]:
        """The sums that these states cause, in the number format of the ports."""
        last = self.held.get(port)
        if last is None or not np.array_equal(last[0], states):
            self.held[port] = last = (states, self.delivered(operator(states), shift))
        return last[1]

    def delivered(self, sums: NDArray[np.float32], shift: int) -> NDArray[Any]:
        """Kernel sums as they go on the wire."""
        raise NotImplementedError


class FloatLinkModel(LinkModel):
    """Float32 weights, states and sums."""

    s_below: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    s_above: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    a_up: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    a_down: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    weight: np.ndarray = LavaPyType(np.ndarray, np.float32)

    def delivered(self, sums: NDArray[np.float32], shift: int) -> NDArray[Any]:
        assert shift == 0
        return sums


class FixedLinkModel(LinkModel):
    """8-bit weights, states (or their changes) of at most 9 bits with sign, 24-bit sums.

    a = (W s) << shift brings the products of both links of a layer to one binary point, so that the layer needs one
    accumulator and one shift, after all has been added up: that keeps delta coding exact.
    """

    s_below: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=9)
    s_above: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=9)
    a_up: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_down: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)

    def delivered(self, sums: NDArray[np.float32], shift: int) -> NDArray[Any]:
        return sums.astype(np.int32) << shift


@implements(proc=Link, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLinkFloat(FloatLinkModel):
    """In floating point."""


@implements(proc=Link, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "fixed_pt_delta")
class PyLinkFixed(FixedLinkModel):
    """In integers."""
