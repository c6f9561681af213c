"""One worked example per journey, in cells that an editor or notebook runs one by one: `python -m bench.examples.NAME`.

settle_on_machines  a network of the zoo on the digital machine, on Lava and on a noisy die
own_data            arrays of your own become a network, and the network a chip
repair_a_die        a damaged die learns to be right again
"""
