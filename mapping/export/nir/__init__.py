"""The network as a NIR graph with loops, of `Conv2d` alone, which every reader knows."""
