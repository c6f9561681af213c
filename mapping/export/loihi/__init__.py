"""The network for Intel's Loihi: integers, placement and learning rule, and a graph of stock Lava processes."""
