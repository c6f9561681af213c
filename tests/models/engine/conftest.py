"""Helpers of the folder above are imported as plain modules here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
