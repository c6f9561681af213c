"""What is asked and reported: `python -m bench.run`, `python -m bench.speed`."""

import os

# Idle torch threads must sleep, not spin: beside any other load (the processes of a Lava graph, say) spinning threads
# hold up each other, which made a settle of digits six times slower. It works only before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
