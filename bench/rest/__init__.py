"""How long the circuits of trained networks take to rest."""
