"""The interpreter that runs Lava's learning engine once: `python -m hw.lava.three_factor.run FD FOLDER`, by `link.py`.

    units below --graded spike--> LearningDense <--third factor-- units above

It receives a `UpdateJob`, sends the weights after it, and leaves no process behind.
"""

from __future__ import annotations

import time
import traceback
from contextlib import suppress
from multiprocessing import Process
from multiprocessing.connection import Connection
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
from lava.magma.core.learning.random import ConnVarRandom
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.models import PyLearningDenseModelBitApproximate
from lava.proc.dense.process import LearningDense
from lava.proc.io.source import RingBuffer
from numpy.typing import NDArray

from hw.lava.hosted import host_connection
from hw.lava.three_factor.link import UpdateJob

POLL_S = 0.005
"""How often the run is looked after."""


class SeededDense(PyLearningDenseModelBitApproximate):
    """Lava's fixed-point model; only the seed of its weight rounding is the rule's, where Lava has one for all."""

    def _init_randoms(self) -> None:
        super()._init_randoms()
        self._conn_var_random = ConnVarRandom(seed_stochastic_rounding=self._learning_rule.rng_seed)


def build_link(job: UpdateJob) -> LearningDense:
    """The plastic link, connected to the units on both sides."""
    rule = Loihi3FLearningRule(dw=job.rule.dw, x1_tau=job.rule.tau, rng_seed=job.seed)
    # Lava would let the third factor decay too, by 2**-16 of itself, between the unit that sends it and the rule
    rule.y1_tau = rule.y2_tau = rule.y3_tau = job.rule.tau
    link = LearningDense(
        weights=job.weight,
        num_message_bits=8,
        # Lava cuts num_weight_bits - 1 bits and a sign out of the weights it is given, but learns one bit more: with 8,
        # weights that were learnt would become even, downwards, whenever they are handed to the next run
        num_weight_bits=9,
        learning_rule=rule,
        graded_spike_cfg=GradedSpikeCfg.OVERWRITE,
    )
    RingBuffer(data=job.payloads.T).s_out.connect(link.s_in)
    RingBuffer(data=job.factors.T).s_out.connect(link.s_in_y1)
    return link


def learn(job: UpdateJob, connection: Connection) -> NDArray[Any]:
    """The weights after one time step per event."""
    link = build_link(job)
    config = Loihi2SimCfg(
        select_tag="fixed_pt" if job.rule.fixed else "floating_pt",
        exception_proc_model_map={LearningDense: SeededDense} if job.rule.fixed else None,
    )
    link.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": 2})
    actors = link.runtime._messaging_infrastructure.actors
    try:
        link.run(RunSteps(len(job.payloads), blocking=False))
        while not link.runtime.service_to_runtime[0].probe():
            _check(actors)
            if connection.poll():
                raise EOFError  # nothing more is sent to us: the other end has gone
            time.sleep(POLL_S)
        _check(actors)
        link.wait()
        weight = np.asarray(link.weights.get())
        link.stop()
        return weight
    except BaseException:
        # stop() would wait for processes that may be gone
        for actor in actors:
            with suppress(Exception):
                actor.kill()
        for actor in actors:
            with suppress(Exception):
                Process.join(actor, timeout=1.0)
        with suppress(Exception):
            link.runtime._messaging_infrastructure._smm.shutdown()
        raise


def _check(actors: list[Any]) -> None:
    # before asking what was raised: that is there once a process has ended because of it
    ended = [actor for actor in actors if not actor.is_alive()]
    for actor in actors:
        if (failure := actor.exception) is not None:
            raise RuntimeError(f"a process of the learning engine failed: {failure[0]!r}\n{failure[1]}")
    for actor in ended:
        raise RuntimeError(f"a process of the learning engine died with exit code {actor.exitcode}")


def main() -> None:
    """Run one job."""
    with host_connection() as connection:
        try:
            connection.send(("learnt", learn(connection.recv(), connection)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            with suppress(OSError):
                connection.send(("failed", "model", f"{error}\n{traceback.format_exc()}"))


if __name__ == "__main__":
    main()
