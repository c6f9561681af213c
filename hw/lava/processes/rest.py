"""The rest detector: holds images that have settled, when a tolerance is given."""

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

from hw.lava.ticking import Ticking


class Rest(AbstractProcess):
    """An image is at rest from the first step in which no layer moved by more than the tolerance.

    moving_in adds up, over layers, which images moved; at_rest_out tells every layer one time step later, when it is
    about to compute the step after. The step at which each image came to rest leaves by external pipe.
    """

    def __init__(self, *, batch: int, **params: Any) -> None:
        super().__init__(batch_size=batch, **params)
        self.moving_in, self.at_rest_out = InPort((batch,)), OutPort((batch,))
        self.steps_out = OutPort((batch,))
        self.steps_out.flag_external_pipe(buffer_size=2)


@implements(proc=Rest, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt", "fixed_pt_delta")
class PyRest(Ticking):
    """One bit per image, whatever the number format of the states."""

    moving_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    at_rest_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    steps_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.at_rest = np.zeros(proc_params["batch_size"], np.int32)
        self.taken = np.full(proc_params["batch_size"], self.steps, np.int32)

    def advance(self, tick: int) -> None:
        self.send("at_rest_out", self.at_rest)
        moving = self.receive("moving_in")
        if tick == 0:
            self.at_rest[:], self.taken[:] = 0, self.steps
            return
        fresh = (moving == 0) & (self.at_rest == 0)
        self.taken[fresh] = tick
        self.at_rest[fresh] = 1
        if tick == self.steps:
            self.send("steps_out", self.taken)
