"""`python -m hw.crossbar.devices.fit`."""

import sys

from hw.crossbar.devices.fit.command import main

if __name__ == "__main__":
    sys.exit(main())
