"""Deep resistive networks: what is computed by resistors and diodes, how it is learnt, and its files."""
