"""`python -m mapping.measured`."""

import sys

from mapping.measured.command import main

if __name__ == "__main__":
    sys.exit(main())
