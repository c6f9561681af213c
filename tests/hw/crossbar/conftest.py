"""Tests of the crossbar use the random networks of the other machines."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
