"""Analog crossbars: devices, dies, wires, converters, tiles, and the machine that settles a network on them."""
