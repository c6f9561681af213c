"""The fast way to settle and to learn: odd-even sweeps in half precision, both nudges in one batch, no work twice.

It computes what `models.relaxation` and `models.learning` compute, which stay the reference; states lie in memory
channels last, every link is a convolution, and a sweep runs every convolution once up and once down.
"""
