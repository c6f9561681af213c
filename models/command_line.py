"""What all command lines promise: one line on standard error for what goes wrong, and an exit code that tells when.

0: done. 2: refused, for what could be known before work began. 1: failed while working. 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from errno import ENOSPC, EPIPE

REFUSED, FAILED, STOPPED = 2, 1, 130


class ConfigError(ValueError):
    """An option, or a file it names, that cannot be used; says which, its value and the choices."""


def exit_code(work: Callable[[], None], *, batch: Callable[[], str], stopped: Callable[[], str]) -> int:
    """Do the work of a command, and tell how it ended.

    Args:
        work: raises `ConfigError` for what is refused, and other errors of the kinds below for what fails.
        batch: asked where memory runs out: which option takes less of it, and its value.
        stopped: asked after Ctrl-C: how to go on.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that has no letter for µ gets a question mark rather than an error after all work is done
        sys.stdout.reconfigure(errors="replace")
    try:
        work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _told(stopped(), STOPPED)
    except ConfigError as error:
        return _told(f"error: {one_line(error)}", REFUSED)
    except MemoryError as error:
        return _told(f"error: {one_line(error) or f'out of memory: try {batch()}'}", FAILED)
    except RuntimeError as error:
        if "allocate memory" in str(error) or "out of memory" in str(error):  # torch's, on CPU and CUDA
            return _told(f"error: out of memory: try {batch()}", FAILED)
        return _told(f"error: {one_line(error)}", FAILED)
    except OSError as error:
        if error.filename is not None or error.errno not in (ENOSPC, EPIPE):
            return _told(f"error: {one_line(error)}", FAILED)
        _give_up_on_output()  # every file that is written is named
        return _told(f"error: standard output: {one_line(error)}", FAILED)
    except (ValueError, ArithmeticError) as error:
        return _told(f"error: {one_line(error)}", FAILED)
    return 0


@contextmanager
def before_work() -> Iterator[None]:
    """What is wrong in here could be known before work began: it becomes a `ConfigError`."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())


def refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse a value of no characters, as an unset variable of a script leaves it; `ConfigError` names the option."""
    option = "the first argument"
    for argument in arguments:
        name, given, value = argument.partition("=")
        if argument == "" or (argument.startswith("--") and given and value == ""):
            raise ConfigError(f"{name or option} is '', must not be empty")
        option = name if argument.startswith("--") else option


def fewer(option: str, count: int) -> str:
    """Advice where memory runs out."""
    return f"{option} {max(1, count // 2)} in place of {count}"


def _told(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code


def _give_up_on_output() -> None:
    """Where standard output takes nothing any more, the interpreter would fail once more when it ends."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
