"""`python -m mapping.export`."""

import sys

from mapping.export.command import main

if __name__ == "__main__":
    sys.exit(main())
