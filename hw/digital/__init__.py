"""The digital reference: synchronous settling in floating point or in bit-exact integers, on CPU or CUDA."""
