"""Tests of learning use the random networks of the machines."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
