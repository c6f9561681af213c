"""`python -m models.vit`."""

import sys

from models.vit.command import main

if __name__ == "__main__":
    sys.exit(main())
