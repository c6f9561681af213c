"""`python -m mapping.diff A B`."""

import sys

from mapping.inspect.differences import main

if __name__ == "__main__":
    sys.exit(main())
