"""`python -m mapping.inspect`."""

import sys

from mapping.inspect.command import main

if __name__ == "__main__":
    sys.exit(main())
