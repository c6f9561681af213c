"""A chip as a lab measured it: conductances of its cells, beside the export they were programmed from."""
