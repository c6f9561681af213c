"""`python -m models.twin`."""

import sys

from models.twin.command import main

if __name__ == "__main__":
    sys.exit(main())
