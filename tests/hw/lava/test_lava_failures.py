"""What the Lava machine says when something breaks, and that nothing is left behind."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.lava_failures import IMAGES, TESTS, expected_logits, faulty_machine, small_circuit
from helpers.sessions import SHARED, Session

from hw.lava import process
from hw.lava.hosting import Hosting
from hw.lava.machine import Lava
from hw.lava.messages import Job
from hw.lava.process import LavaError, LavaModelError, LavaStalledError


def test_a_model_that_raises_is_named_with_its_traceback(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same machine settles again once the model is sound."""
    monkeypatch.setenv("FAULTY", "layer2:5")
    with faulty_machine("Raising") as machine:
        with pytest.raises(LavaModelError) as caught:
            machine.settle(IMAGES)
        said = str(caught.value)
        assert said.startswith("process 'layer2' failed in time step 5: ValueError('the neuron of layer2 broke')")
        assert "faulty_models.py" in said
        assert "in neuron" in said
        session.assert_nothing_left()
        monkeypatch.setenv("FAULTY", "")
        np.testing.assert_allclose(machine.settle(IMAGES).logits, expected_logits(small_circuit(), 10), atol=1e-5)
        assert session.remember() > 5, "the session must be seen, or the checks above check nothing"
        assert len(session.segments) > 10
    session.assert_nothing_left()


def test_a_model_that_stops_sending_is_reported_with_process_and_port(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTY", "layer2:5")
    with faulty_machine("Silent", stall_s=2) as machine:
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
        faulty_machine("Busy", stall_s=2) as machine,
        pytest.raises(LavaStalledError, match=r"layer1 \(time step 3\) waits on no port: it is busy or stopped"),
    ):
        machine.settle(IMAGES)
    session.assert_nothing_left()


def test_a_process_that_is_killed_is_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY", "layer2:5")
    with (
        faulty_machine("Dying", stall_s=20) as machine,
        pytest.raises(LavaModelError, match="process 'layer2' died with exit code -9"),
    ):
        machine.settle(IMAGES)
    session.assert_nothing_left()


@pytest.mark.slow
def test_a_model_that_cannot_be_made_says_so(session: Session) -> None:
    with faulty_machine("Stillborn") as machine, pytest.raises(LavaError, match="the layer was never born"):
        machine.settle(IMAGES)
    session.assert_nothing_left()


def test_a_model_for_an_unknown_process_lists_the_processes(session: Session) -> None:
    machine = Lava(small_circuit(), steps=3, hosting=Hosting(process_models={"Neuron": "helpers.faulty_models:Silent"}))
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
    with faulty_machine("Slow", stall_s=2) as machine:
        try:
            settled = machine.settle(IMAGES)
        except LavaError:
            pass
        else:
            np.testing.assert_allclose(settled.logits, expected_logits(small_circuit(), 10), atol=1e-5)
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
    circuit = small_circuit(classes=60)  # many classes: the scores of all steps are the largest channel
    _with_free_memory(tmp_path, monkeypatch, 2560)
    with Lava(circuit, steps=10, batch_size=2000) as machine, pytest.raises(LavaError) as caught:
        machine.settle(images)
    said = str(caught.value).split()
    need = float(said[said.index("need") + 1])
    assert said[said.index("need") + 2] == "MiB"
    assert "need " in str(caught.value)
    assert "/dev/shm has 10 MiB free" in str(caught.value)
    most = int(said[said.index("most") + 1])
    assert most == pytest.approx(2000 * 10 / need, rel=0.05)
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
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


@pytest.mark.parametrize(("before", "code"), [("fork", 0), ("spawn", 1)])
def test_lava_can_be_imported_after_other_processes_that_fork(before: str, code: int) -> None:
    """Lava sets the way processes start, which Python grants once."""
    program = f"import multiprocessing as m; m.set_start_method('{before}')\n"
    program += "import hw.lava.graph; print(m.get_start_method())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-500:]
    assert done.stdout.strip() == ("fork" if code == 0 else "")
    assert code == 0 or "context has already been set" in done.stderr


def test_a_job_can_be_sent_to_another_interpreter() -> None:
    """Nothing of torch or Lava is in it."""
    job = Job(small_circuit(), 3, 2, None, None, False, 1.0, {})
    kinds = {type(value).__module__.split(".")[0] for value in vars(job).values()}
    assert kinds <= {"hw", "builtins"}
    assert pickle.loads(pickle.dumps(job)).steps == 3


@pytest.mark.slow
def test_a_host_that_is_stopped_is_a_stall(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MARGIN_S", 0.5)
    with Lava(small_circuit(), steps=10, hosting=Hosting(stall_s=1)) as machine:
        machine.settle(IMAGES)
        assert machine._host is not None
        os.kill(machine._host[1].process.pid, signal.SIGSTOP)
        with pytest.raises(LavaStalledError, match=r"its host, process \d+, has said nothing for 2 s: it is stopped"):
            machine.settle(IMAGES)
        np.testing.assert_allclose(machine.settle(IMAGES).logits, expected_logits(small_circuit(), 10), atol=1e-5)
    session.assert_nothing_left()


def test_a_forked_child_that_ends_leaves_the_machine_of_its_parent_alone(session: Session) -> None:
    with Lava(small_circuit(), steps=10) as machine:
        before = machine.settle(IMAGES)
        child = os.fork()
        if not child:
            machine.close()  # as the interpreter does at its end
            os._exit(0)
        os.waitpid(child, 0)
        np.testing.assert_array_equal(machine.settle(IMAGES).logits, before.logits)
    session.assert_nothing_left()


def test_all_children_killed_at_once_leave_no_shared_memory(session: Session) -> None:
    with Lava(small_circuit(), steps=10) as machine:
        machine.settle(IMAGES)
        session.remember()
        assert machine._host is not None
        os.killpg(machine._host[1].process.pid, signal.SIGKILL)
        with pytest.raises(LavaError, match="the Lava host is gone"):
            machine.settle(IMAGES)
    session.assert_nothing_left()


def test_the_death_of_lavas_own_service_is_named(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the last process that Lava forks, and no process of the graph."""
    monkeypatch.setenv("SLOW", str(tmp_path))
    with faulty_machine("Slow", stall_s=30) as machine:
        said = []

        def settle() -> None:
            try:
                machine.settle(IMAGES)
            except LavaError as error:
                said.append(str(error))

        thread = threading.Thread(target=settle)
        thread.start()
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        assert machine._host is not None
        host = machine._host[1].process.pid
        children = sorted(int(pid) for pid in Path(f"/proc/{host}/task/{host}/children").read_text().split())
        layers = [int(file.read_text()) for file in tmp_path.iterdir()]
        others = [pid for pid in children if pid not in layers]
        os.kill(max(others), signal.SIGKILL)
        thread.join(20)
    assert said
    assert "Lava's runtime service" in said[0], said
    session.assert_nothing_left()
