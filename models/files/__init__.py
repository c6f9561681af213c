"""What is kept on disk of a network: checkpoints, checked when they are read."""
