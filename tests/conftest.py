"""Settings of the whole suite: one thread each, and a temporary folder of its own in which nothing may be left."""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from time import monotonic, sleep

import pytest

# The networks of the tests are small: a second thread gains nothing, and waiting for it costs much on a busy computer.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

FOLDER = pytest.StashKey[Path]()
LEFT = pytest.StashKey[list[str]]()
PATIENCE_S = 20
"""For what a killed process leaves to whoever cleans up after it."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for folders; a few files are done sooner in one that need not start others."""
    return 2 if all(Path(argument).is_dir() for argument in config.args) else 0


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder, which workers of xdist inherit; `tmp_path` stays where pytest keeps it."""
    if hasattr(config, "workerinput"):
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="ep-"))
    config.stash[FOLDER] = folder
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    # before it compiles, torch starts an interpreter for every set of vector instructions of the processor to see
    # whether it works; here it takes them as they are named
    os.environ["TORCHINDUCTOR_VEC_ISA_OK"] = "1"


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """The run fails if anything is left once the workers have ended."""
    yield
    if (folder := session.config.stash.get(FOLDER, None)) is None:
        return
    for kept in folder.glob("torchinductor_*"):  # what torch has compiled, for the next time
        shutil.rmtree(kept, ignore_errors=True)
    (folder / ".ses").unlink(missing_ok=True)  # a number that onnxruntime gives itself when it is imported
    deadline = monotonic() + PATIENCE_S
    while any(folder.iterdir()) and monotonic() < deadline:
        sleep(0.1)
    session.config.stash[LEFT] = sorted(path.name for path in folder.iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    if session.config.stash[LEFT] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what is left."""
    if left := config.stash.get(LEFT, []):
        terminalreporter.write_line(f"FAILED: the suite left in its temporary folder: {', '.join(left)}", red=True)
