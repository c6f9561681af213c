"""`python -m bench.run` called in this interpreter."""

from __future__ import annotations

import json
import sys

import pytest

from bench import run as bench_run


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> dict:
    """`python -m bench.run OPTIONS` in this interpreter; the JSON document of its last line."""
    monkeypatch.setattr(sys, "argv", ["bench.run", *options])
    bench_run.main()
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What a call that must be refused with exit code 2 says."""
    monkeypatch.setattr(sys, "argv", ["bench.run", *options])
    monkeypatch.setattr(bench_run, "run", lambda *_: pytest.fail("a refused run was started"))
    with pytest.raises(SystemExit) as stopped:
        bench_run.main()
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    return captured.err + captured.out
