"""The fast way to settle and to learn: layer by layer in half precision, both nudges in one batch, no work twice.

It computes what `models.ep.relaxation` and `models.ep.gradient` compute, which stay the reference; states lie in memory
channels last, every link is a convolution, and what a layer sends up or down is computed once after it has changed.
"""
