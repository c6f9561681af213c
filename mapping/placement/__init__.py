"""Where a network sits on hardware: its units on the cores of a chip, its matrices on crossbar tiles."""
