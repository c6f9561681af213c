"""Equilibrium propagation itself: the network, how it settles, what that minimises, and the gradient EP takes of it."""
