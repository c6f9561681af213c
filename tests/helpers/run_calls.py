"""`python -m bench.run` and `python -m bench.learn` called in this interpreter."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from types import ModuleType

import pytest


def call(command: ModuleType, *options: object) -> dict:
    """`python -m COMMAND OPTIONS`; the JSON document of its last line."""
    out = io.StringIO()
    with redirect_stdout(out):
        command.main([*map(str, options)])
    return json.loads(out.getvalue().strip().splitlines()[-1])


def stopped(command: ModuleType, *options: object, code: int = 2) -> str:
    """What a call that ends with this exit code says, on one line."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as ended:
        command.main([*map(str, options)])
    assert ended.value.code == code, said.getvalue()
    return " ".join(said.getvalue().split())


def refused(command: ModuleType, *options: object) -> str:
    """What a call says that must be refused with exit code 2 before models, data or machines are touched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "run", lambda *_: pytest.fail("a refused run was started"))
        return stopped(command, *options)
