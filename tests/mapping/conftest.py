"""The mapping tests share the random networks and the naive reference of `tests/hw`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "hw"))
