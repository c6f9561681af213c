"""The readout: class scores of the last layer, outside the dynamics."""

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

from hw.lava.ticking import Ticking


class Readout(AbstractProcess):
    """scores = R s + r after every step; all T steps of a batch leave together by external pipe, (T, classes, B).

    Without weights (squared-error output) the last layer's states are the scores.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        classes: int,
        batch: int,
        weight: NDArray[Any] | None,
        bias: NDArray[Any],
        **params: Any,
    ) -> None:
        super().__init__(classes=classes, batch_size=batch, weight_=weight, bias_=bias, **params)
        self.s_in = InPort((*shape, batch))
        self.scores_out = OutPort((params["steps"], classes, batch))
        self.scores_out.flag_external_pipe(buffer_size=2)


class _Readout(Ticking):
    """Weights go through float BLAS, exactly for integers (see `hw.kernels`)."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        weight = proc_params["weight_"]
        self.weight = None if weight is None else np.ascontiguousarray(weight, np.float32)
        self.offset = np.asarray(proc_params["bias_"], np.float64)[:, None]
        self.scores = np.zeros((self.steps, proc_params["classes"], proc_params["batch_size"]))

    def advance(self, tick: int) -> None:
        states = self.receive("s_in")
        flat = states.reshape(-1, states.shape[-1])
        product = flat if self.weight is None else self.weight @ flat.astype(np.float32, copy=False)
        self.keep(tick, product.astype(np.float64))
        if tick == self.steps:
            self.send("scores_out", self.scores)

    def keep(self, tick: int, product: NDArray[np.float64]) -> None:
        """The product of what came in at this tick becomes the scores of that step."""
        if tick:
            self.scores[tick - 1] = product + self.offset


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyReadoutFloat(_Readout):
    """Float32 states."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    scores_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyReadoutFixed(_Readout):
    """Integer states."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=9)
    scores_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt_delta")
class PyReadoutDelta(_Readout):
    """Changes of integer states, added up: scores(t) = scores(t - 1) + R m."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=9)
    scores_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)

    def keep(self, tick: int, product: NDArray[np.float64]) -> None:
        if tick:
            self.scores[tick - 1] = product + (self.scores[tick - 2] if tick > 1 else self.offset)
