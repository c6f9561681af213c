"""The input layer: clamped to one batch after another."""

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

from hw.events.messages import COLUMNS
from hw.lava.ticking import Ticking, spikes


class Source(AbstractProcess):
    """s_0 = x, held for all steps of a batch. Images come in, and counted events go out, by external pipe."""

    def __init__(self, *, shape: tuple[int, ...], batch: int, **params: Any) -> None:
        super().__init__(batch_size=batch, **params)
        self.images_in = InPort((*shape, batch))
        self.images_in.flag_external_pipe(buffer_size=2)
        self.s_out = OutPort((*shape, batch))
        self.report_out = OutPort((2, params["steps"], len(COLUMNS), batch))
        self.report_out.flag_external_pipe(buffer_size=2)


class _Source(Ticking):
    """Sends the images at every tick: a machine that sends states sends them at every step."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.images: NDArray[Any] = np.zeros(0)
        # (nonzero and changed, T, columns, B), as the port
        self.report = np.zeros((2, self.steps, len(COLUMNS), proc_params["batch_size"]))

    def advance(self, tick: int) -> None:
        if tick == 0:
            self.images = self.receive("images_in")
            self.report[0] = self.report[1, 0] = spikes(self.images != 0, self.proc_params["traffic"])
        self.send("s_out", self.message(tick))
        if tick == self.period - 1:
            self.send("report_out", self.report)

    def message(self, tick: int) -> NDArray[Any]:  # noqa: ARG002 - delta coding looks at it
        """What goes on the wire at this tick."""
        return self.images


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySourceFloat(_Source):
    """Images in float32."""

    images_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float32)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySourceFixed(_Source):
    """Images as integer codes."""

    images_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=9)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt_delta")
class PySourceDelta(_Source):
    """Images as integer codes, sent once: a clamped input never changes."""

    images_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=9)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int16, precision=9)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)

    def message(self, tick: int) -> NDArray[Any]:
        return self.images if tick == 0 else np.zeros_like(self.images)
