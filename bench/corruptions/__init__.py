"""Natural corruptions of images, in the manner of CIFAR-10-C (Hendrycks & Dietterich 2019, arXiv:1903.12261).

noisy = corrupt(images, "gaussian_noise", severity=3, seed=0)  # (N, H, W, C) uint8

15 corruptions at 5 severities with the parameters published for images of 32 x 32, made from any 8-bit images, offline.
What comes out is called "CIFAR-10-C-style": the published arrays were drawn without a seed, so nobody can make them
again, and the ice of `frost` is synthesised, since its photographs cannot be shipped. Every image has a generator of
its own, of (seed, corruption, severity, index): a part of a set is corrupted as it is within the whole.
"""

from bench.corruptions.corrupt import CORRUPTIONS, FAMILIES, SEVERITIES, STYLE, corrupt

__all__ = ["CORRUPTIONS", "FAMILIES", "SEVERITIES", "STYLE", "corrupt"]
