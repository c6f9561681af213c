"""How command lines end: one line, and a code that tells when."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.command_line import ConfigError, before_work, exit_code, fewer, refuse_empty

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ConfigError("--limit is 0"), 2, "error: --limit is 0"),
        (ValueError("two\nlines"), 1, "error: two lines"),
        (OSError(28, "No space left on device", "rows.jsonl"), 1, "No space left on device: 'rows.jsonl'"),
        (ArithmeticError("training diverged"), 1, "error: training diverged"),
        (RuntimeError("a process died"), 1, "error: a process died"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "out of memory: try --batch-size 4"),
        (MemoryError(), 1, "out of memory: try --batch-size 4 in place of 8"),
        (MemoryError("a batch of 3 would fit"), 1, "error: a batch of 3 would fit"),
        (KeyboardInterrupt(), 130, "stopped: go on"),
    ],
)
def test_every_failure_is_one_line_and_a_code(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise error

    assert exit_code(work, batch=lambda: fewer("--batch-size", 8), stopped=lambda: "stopped: go on") == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_slip_of_the_program_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        exit_code(lambda: {}["gone"], batch=str, stopped=str)


def test_what_could_be_known_before_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="no such file"), before_work():
        raise ValueError("no such file")


@pytest.mark.parametrize("arguments", [["--output", ""], ["--output="], ["x", "--output", "a", ""]])
def test_an_empty_value_is_refused_by_name(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="--output is ''"):
        refuse_empty(arguments)
    refuse_empty(["--output", "a", "--quick"])


def test_letters_that_a_locale_lacks_and_a_full_output_end_no_finished_work() -> None:
    script = (
        "import sys; from models.command_line import exit_code\n"
        "sys.exit(exit_code(lambda: print('3 µJ'), batch=str, stopped=str))"
    )
    narrow = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=narrow, check=False)
    assert (done.returncode, done.stdout) == (0, b"3 ?J\n")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=full, stderr=-1, env=narrow, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().strip() == "error: standard output: [Errno 28] No space left on device"
