"""The network on the tiles of a crossbar chip: what a lab programs, and where every device belongs."""
