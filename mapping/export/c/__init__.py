"""The network as C: its integers as arrays, and a loop that settles it."""
