"""A run that is broken off is broken off: Brian itself would end it as if it were finished."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.random_nets import mixed_network, random_images

from hw.brian.options import Simulation
from mapping.machines import to_brian

SYNCHRONOUS = Simulation(dt_tau=1.0, linear="operator")


def test_ctrl_c_ends_a_settle_and_the_machine_settles_again() -> None:
    images = random_images((2, 7, 6), 2, 0)
    with to_brian(mixed_network(), duration_tau=6.0, simulation=SYNCHRONOUS, batch_size=1) as machine:
        expected = machine.settle(images).logits
        assert "brian2" not in type(signal.getsignal(signal.SIGINT)).__module__
        machine.progress = lambda done, of: signal.raise_signal(signal.SIGINT)  # noqa: ARG005
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
        try:
            with pytest.raises(KeyboardInterrupt):
                machine.settle(images)
        finally:
            signal.signal(signal.SIGINT, before)
        machine.progress = None
        np.testing.assert_array_equal(machine.settle(images).logits, expected)


def test_two_machines_in_two_threads_answer_as_they_do_alone() -> None:
    images, start = random_images((2, 7, 6), 2, 0), threading.Barrier(2)
    machines = [to_brian(mixed_network(), duration_tau=time, simulation=SYNCHRONOUS) for time in (4.0, 7.0)]
    alone = [machine.settle(images).logits for machine in machines]

    def settle(number: int) -> list[object]:
        start.wait()
        return [machines[number].settle(images).logits for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        for number, answers in enumerate(pool.map(settle, (0, 1))):
            for answer in answers:
                np.testing.assert_array_equal(answer, alone[number])
