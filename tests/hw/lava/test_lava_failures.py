"""What the Lava machine says when something breaks, and that nothing is left behind, however it ends."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.sessions import PATIENCE_S, SHARED, Session, watched_session
from numpy.typing import NDArray

from hw.circuit import Circuit, FloatNeuron, Wire
from hw.lava.hosting import Hosting
from hw.lava.machine import Lava
from hw.lava.messages import Job
from hw.lava.process import LavaError, LavaModelError, LavaStalledError

HERE = Path(__file__).parents[2]
IMAGES: NDArray[np.float64] = np.random.default_rng(1).random((3, 1, 2, 3))


def _circuit(units: int = 4, classes: int = 3) -> Circuit:
    """Two dense layers and a readout, in float."""
    rng = np.random.default_rng(0)
    shapes = ((1, 2, 3), (5,), (units,), (classes,))
    wires = [
        Wire("dense", (rng.normal(size=(*above, int(np.prod(below)))) / 5).astype(np.float32), below, above)
        for below, above in pairwise(shapes)
    ]
    biases = tuple(np.full(wire.above, 0.1, np.float32) for wire in wires[:2])
    tables = tuple(np.ones((int(np.prod(shape)), 6)) for shape in shapes[:3])
    return Circuit(tuple(wires[:2]), biases, FloatNeuron(), wires[2], np.zeros(classes), 1.0, tables, (1, 1, 1))


def _expected(circuit: Circuit, steps: int) -> NDArray[np.float64]:
    """Logits of the synchronous dynamics."""
    assert circuit.readout is not None
    first, second = (wire.weight.astype(np.float64) for wire in circuit.wires)
    x = IMAGES.reshape(len(IMAGES), -1)
    low, high = np.zeros((len(x), len(first))), np.zeros((len(x), len(second)))
    for _ in range(steps):
        low, high = (
            np.clip(x @ first.T + high @ second + 0.1, 0, 1),
            np.clip(low @ second.T + 0.1, 0, 1),
        )
    return high @ circuit.readout.weight.T


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session in which the Lava host also finds `faulty_models`."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with watched_session() as session:
        yield session


def _faulty(kind: str, stall_s: float = 60.0) -> Lava:
    hosting = Hosting(stall_s, {"Layer": f"helpers.faulty_models:{kind}"})
    return Lava(_circuit(), steps=10, hosting=hosting)


def test_a_model_that_raises_is_named_with_its_traceback(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same machine settles again once the model is sound."""
    monkeypatch.setenv("FAULTY", "layer2:5")
    with _faulty("Raising") as machine:
        with pytest.raises(LavaModelError) as caught:
            machine.settle(IMAGES)
        said = str(caught.value)
        assert said.startswith("process 'layer2' failed in time step 5: ValueError('the neuron of layer2 broke')")
        assert "faulty_models.py" in said
        assert "in neuron" in said
        session.assert_nothing_left()
        monkeypatch.setenv("FAULTY", "")
        np.testing.assert_allclose(machine.settle(IMAGES).logits, _expected(_circuit(), 10), atol=1e-5)
        assert session.remember() > 5, "the session must be seen, or the checks above check nothing"
        assert len(session.segments) > 10
    session.assert_nothing_left()


def test_a_model_that_stops_sending_is_reported_with_process_and_port(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTY", "layer2:5")
    with _faulty("Silent", stall_s=2) as machine:
        started = time.monotonic()
        with pytest.raises(LavaStalledError) as caught:
            machine.settle(IMAGES)
        assert 2 < time.monotonic() - started < 30
    said = str(caught.value)
    assert "no process has moved for 2 s" in said
    assert "link2 (time step 5) waits on port s_above from layer2.s_out" in said
    assert "readout (time step 5) waits on port s_in from layer2.s_out" in said
    assert "layer2 (time step 5) waits on no port" in said
    session.assert_nothing_left()


@pytest.mark.slow
def test_a_model_that_never_finishes_is_reported_as_busy(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY", "layer1:3")
    with (
        _faulty("Busy", stall_s=2) as machine,
        pytest.raises(LavaStalledError, match=r"layer1 \(time step 3\) waits on no port: it is busy or stopped"),
    ):
        machine.settle(IMAGES)
    session.assert_nothing_left()


def test_a_process_that_is_killed_is_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY", "layer2:5")
    with (
        _faulty("Dying", stall_s=20) as machine,
        pytest.raises(LavaModelError, match="process 'layer2' died with exit code -9"),
    ):
        machine.settle(IMAGES)
    session.assert_nothing_left()


@pytest.mark.slow
def test_a_model_that_cannot_be_made_says_so(session: Session) -> None:
    with _faulty("Stillborn") as machine, pytest.raises(LavaError, match="the layer was never born"):
        machine.settle(IMAGES)
    session.assert_nothing_left()


def test_a_model_for_an_unknown_process_lists_the_processes(session: Session) -> None:
    machine = Lava(_circuit(), steps=3, hosting=Hosting(process_models={"Neuron": "helpers.faulty_models:Silent"}))
    with machine, pytest.raises(LavaError, match=r"unknown process 'Neuron'.*Source, Link, Layer, Readout, Rest"):
        machine.settle(IMAGES)
    session.assert_nothing_left()


@pytest.mark.slow
@pytest.mark.parametrize("victim", range(1, 10))
def test_whichever_process_of_the_graph_is_killed_the_run_ends(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, victim: int
) -> None:
    """In order of their ids; the first is the host. Lava's memory manager may die unnoticed: the run then goes on."""
    monkeypatch.setenv("SLOW", str(tmp_path))

    def kill() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        session.remember()
        os.kill(session.processes()[victim], signal.SIGKILL)

    threading.Thread(target=kill).start()
    with _faulty("Slow", stall_s=2) as machine:
        try:
            settled = machine.settle(IMAGES)
        except LavaError:
            pass
        else:
            np.testing.assert_allclose(settled.logits, _expected(_circuit(), 10), atol=1e-5)
    session.assert_nothing_left()


# Programs that use the machine and end badly. Each says "ready" when it is time.
PROLOGUE = """
import os, pickle, sys, time
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
import signal
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
    data.write_bytes(pickle.dumps((_circuit(), IMAGES)))
    script.write_text(PROLOGUE + program)
    (tmp_path / "slow").mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(data)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]),
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


NO_MEMORY = """
import os
free = type("Free", (), {{"f_bavail": {free}, "f_frsize": 4096}})
real = os.statvfs
os.statvfs = lambda path: free if str(path) == "/dev/shm" else real(path)
"""


def _with_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    """Every interpreter started from now on finds this much of shared memory free."""
    (tmp_path / "sitecustomize.py").write_text(NO_MEMORY.format(free=pages))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_too_little_shared_memory_is_refused_with_what_would_fit(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message states the need of the graph, which must cover what Lava really reserves."""
    images = np.resize(IMAGES, (2000, 1, 2, 3))
    circuit = _circuit(classes=60)  # many classes: the scores of all steps are the largest channel
    _with_free_memory(tmp_path, monkeypatch, 256)
    with Lava(circuit, steps=10, batch_size=2000) as machine, pytest.raises(LavaError) as caught:
        machine.settle(images)
    said = str(caught.value).split()
    need = float(said[said.index("need") + 1])
    assert "need " in str(caught.value)
    assert "/dev/shm has 1 MiB free" in str(caught.value)
    most = int(said[said.index("most") + 1])
    assert most == pytest.approx(2000 / need, rel=0.05)
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with Lava(circuit, steps=10, batch_size=2000) as machine:
        machine.settle(images)
        session.remember()
        reserved = sum((SHARED / name).stat().st_size for name in session.segments) / 2**20
    assert 0.95 * reserved < need < 2 * reserved
    session.assert_nothing_left()


@pytest.mark.parametrize("module", ["hw.lava.settling", "hw.lava.processes.layer"])
def test_lava_modules_import_on_their_own(module: str) -> None:
    """Whatever is imported first, Lava must find the compatibility import before it: Python 3.11 and 3.12 need it."""
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_a_job_can_be_sent_to_another_interpreter() -> None:
    """Nothing of torch or Lava is in it."""
    job = Job(_circuit(), 3, 2, None, None, False, 1.0, {})
    kinds = {type(value).__module__.split(".")[0] for value in vars(job).values()}
    assert kinds <= {"hw", "builtins"}
    assert pickle.loads(pickle.dumps(job)).steps == 3
