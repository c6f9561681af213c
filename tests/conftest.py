"""Settings of the whole suite."""

import torch

# The networks of the tests are small: a second thread gains nothing, and waiting for it costs much on a busy computer.
torch.set_num_threads(1)
