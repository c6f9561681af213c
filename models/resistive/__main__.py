"""`python -m models.resistive`."""

import sys

from models.resistive.command import main

if __name__ == "__main__":
    sys.exit(main())
