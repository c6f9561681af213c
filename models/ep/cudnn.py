"""Convolutions on CUDA as on a CPU.

By default torch lets cuDNN round the factors of a float32 convolution to the 10 bits of TF32, which is more than a
small nudge moves a state, and pick kernels that add in another order in every run. Nothing changes on a CPU.
"""

from __future__ import annotations

import torch

exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
"""Decorates what computes: all digits of float32, and the same bits from the same work."""
