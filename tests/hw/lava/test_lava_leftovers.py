"""Programs that use the Lava machine and end badly: nothing is left behind, however they end."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.lava_failures import IMAGES, TESTS, small_circuit
from helpers.sessions import PATIENCE_S, Session

# Programs that use the machine and end badly. Each says "ready" when it is time.
PROLOGUE = """
import os, pickle, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores Ctrl-C
import numpy as np
from pathlib import Path
from hw.lava.hosting import Hosting
from hw.lava.machine import Lava
circuit, images = pickle.loads(Path(sys.argv[1]).read_bytes())
"""
SETTLING = """
machine = Lava(circuit, steps=1000, hosting=Hosting(process_models={"Layer": "helpers.faulty_models:Slow"}))  # 100 s
import threading
def tell():
    while len(os.listdir(os.environ["SLOW"])) < 2:
        time.sleep(0.05)
    print("ready", flush=True)
threading.Thread(target=tell, daemon=True).start()
with machine:
    machine.settle(images)
"""
STARTING = """
print("ready", flush=True)
with Lava(circuit, steps=20) as machine:
    machine.settle(images)
    time.sleep(60)
"""
IDLE = """
machine = Lava(circuit, steps=20)
machine.settle(images)
print("ready", flush=True)
time.sleep(60)
"""
DROPPED = """
machine = Lava(circuit, steps=20)
machine.settle(images)
del machine
print("ready", flush=True)
time.sleep(60)
"""
FORGOTTEN = """
machine = Lava(circuit, steps=20)
machine.settle(images)
print("ready", flush=True)
input()
"""
HUNG = """
machine = Lava(circuit, steps=20)
machine.settle(images)
os.kill(machine._host[1].process.pid, signal.SIGSTOP)
print("ready", flush=True)
input()
machine.close()
"""
HOST_KILLED = """
machine = Lava(circuit, steps=1000, hosting=Hosting(process_models={"Layer": "helpers.faulty_models:Slow"}))
import threading
def kill():
    while len(os.listdir(os.environ["SLOW"])) < 2:
        time.sleep(0.05)
    print("ready", flush=True)
    os.kill(machine._host[1].process.pid, 9)
threading.Thread(target=kill).start()
try:
    machine.settle(images)
except Exception as error:
    print(type(error).__name__, error, flush=True)
"""


def _start(program: str, tmp_path: Path) -> subprocess.Popen[str]:
    """Run a program in an interpreter of its own, up to the point where it says that it is ready."""
    data, script = tmp_path / "circuit.pickle", tmp_path / "program.py"
    data.write_bytes(pickle.dumps((small_circuit(), IMAGES)))
    script.write_text(PROLOGUE + program)
    (tmp_path / "slow").mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(data)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
            "SLOW": str(tmp_path / "slow"),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_while_settling_leaves_nothing(session: Session, tmp_path: Path) -> None:
    process = _start(SETTLING, tmp_path)
    assert session.remember() > 6
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert "KeyboardInterrupt" in said
    assert process.returncode == -signal.SIGINT
    session.assert_nothing_left()


def test_ctrl_c_while_starting_leaves_nothing(session: Session, tmp_path: Path) -> None:
    process = _start(STARTING, tmp_path)
    _wait_for(lambda: session.remember() > 4)  # the host has begun to start its processes
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT
    session.assert_nothing_left()


def test_an_impatient_user_leaves_nothing(session: Session, tmp_path: Path) -> None:
    """Ctrl-C again and again, also while the machine is closing."""
    process = _start(SETTLING, tmp_path)
    session.remember()
    for _ in range(20):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
    process.communicate(timeout=PATIENCE_S)
    session.assert_nothing_left()


@pytest.mark.parametrize(
    "program", [pytest.param(SETTLING, id="settling"), pytest.param(IDLE, id="idle", marks=pytest.mark.slow)]
)
def test_a_killed_interpreter_leaves_nothing(session: Session, tmp_path: Path, program: str) -> None:
    process = _start(program, tmp_path)
    assert session.remember() > 6
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    session.assert_nothing_left()


@pytest.mark.slow
def test_an_interpreter_killed_while_starting_leaves_nothing(session: Session, tmp_path: Path) -> None:
    process = _start(STARTING, tmp_path)
    _wait_for(lambda: session.remember() > 4)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    session.assert_nothing_left()


@pytest.mark.slow
def test_a_host_that_hangs_is_ended_too(session: Session, tmp_path: Path) -> None:
    """Closing does not wait for ever for a host that is stopped, and leaves none of its memory."""
    process = _start(HUNG, tmp_path)
    session.remember()
    process.communicate(input="\n", timeout=2 * PATIENCE_S)
    assert process.returncode == 0
    session.assert_nothing_left()


def test_a_dropped_machine_is_closed(session: Session, tmp_path: Path) -> None:
    """Only the interpreter that dropped it lives on."""
    process = _start(DROPPED, tmp_path)
    _wait_for(lambda: session.processes() == [process.pid])
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    session.assert_nothing_left()


def test_a_machine_that_nobody_closed_does_not_keep_the_interpreter(session: Session, tmp_path: Path) -> None:
    process = _start(FORGOTTEN, tmp_path)
    assert session.remember() > 6
    process.communicate(input="\n", timeout=PATIENCE_S)
    assert process.returncode == 0
    session.assert_nothing_left()


def test_a_killed_host_ends_the_settle_with_an_error(session: Session, tmp_path: Path) -> None:
    """The kernel may kill the host when memory runs out."""
    process = _start(HOST_KILLED, tmp_path)
    try:
        said, _ = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail(f"the host is dead and settle still waits after {PATIENCE_S} s")
    assert said.startswith("LavaError the Lava host is gone")
    session.assert_nothing_left()
