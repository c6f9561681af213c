"""What is computed: energy, links, relaxation, equilibrium propagation, data and the zoo of trained networks."""
