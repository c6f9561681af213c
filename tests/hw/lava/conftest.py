"""What the tests of Lava share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.lava_failures import TESTS
from helpers.sessions import Session, watched_session


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session in which the Lava host also finds `faulty_models`."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with watched_session() as session:
        yield session
