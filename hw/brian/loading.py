"""Brian2, imported where it is first needed: it takes seconds, and brings matplotlib with it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

Target = Literal["numpy", "cython"]
AT_WORK = threading.RLock()
"""Brian's preferences, and what Python warns of, are those of the whole process: one network is built or run at a
time."""
TARGETS: tuple[Target, ...] = ("numpy", "cython")
"""What Brian writes its code in: numpy needs no compiler."""


def load_brian() -> Any:
    """The module; ModuleNotFoundError names the extra that brings it."""
    if (loaded := sys.modules.get("brian2.only")) is not None:
        return loaded
    hook, interrupted = sys.excepthook, signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import brian2.only as brian
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != "brian2":
            raise
        raise ModuleNotFoundError(
            "this machine needs Brian2, which is not installed: pip install 'ep-hardware[brian]'", name="brian2"
        ) from error
    _quieten(brian)
    sys.excepthook = hook
    if threading.current_thread() is threading.main_thread() and interrupted is not None:
        signal.signal(signal.SIGINT, interrupted)  # Brian's ends a run as if it were finished
    return brian


def _quieten(brian: Any) -> None:
    """Take back what an import of Brian does to its process: a log and a copy of the script in the folder for temporary
    files, output that goes to another one while a network runs, every warning through its own log, and an invitation to
    report each error as one of Brian's."""
    logger, log = brian.BrianLogger, logging.getLogger("brian2")
    if logger.file_handler is not None:
        log.removeHandler(logger.file_handler)
        logger.file_handler.close()
    for file in (logger.tmp_log, logger.tmp_script):
        if file is not None:
            Path(file).unlink(missing_ok=True)
    logger.file_handler = logger.tmp_log = logger.tmp_script = None
    logging.getLogger("py.warnings").removeHandler(logger.console_handler)
    logging.captureWarnings(False)
    brian.prefs.logging.std_redirection = False


def check_target(target: Target) -> None:
    """Refuse what code cannot be written in here: ValueError for an unknown name, or cython without a compiler."""
    if target not in TARGETS:
        raise ValueError(f"target {target!r} is unknown, choices are {', '.join(TARGETS)}")
    if target == "cython":
        load_brian()
        from brian2.codegen.runtime.cython_rt import CythonCodeObject

        if not CythonCodeObject.is_available():
            raise ValueError("target 'cython' finds no working C++ compiler here: install one (g++), or choose numpy")


@contextmanager
def brian_at_work(target: Target) -> Iterator[None]:
    """Within, Brian writes its code for this target, and what its parser warns of itself is not told.

    Both are put back. Other threads wait.
    """
    brian = load_brian()
    with AT_WORK, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        before = brian.prefs.codegen.target
        brian.prefs.codegen.target = target
        try:
            yield
        finally:
            brian.prefs.codegen.target = before
