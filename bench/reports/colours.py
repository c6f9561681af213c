"""Colours of all pictures, whatever draws them."""

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000")
"""Paul Tol's bright scheme: distinct for colour-blind readers."""
MANY_COLOURS = (*COLOURS, "#999933", "#882255", "#44aa99", "#ddcc77", "#332288", "#117733")
"""Where parts are many."""
