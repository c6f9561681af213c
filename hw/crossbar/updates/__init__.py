"""How a wanted change of weights becomes writes on the devices that hold them."""
