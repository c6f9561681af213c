"""Studies of learning on machines: repair, from scratch, and the strength of the nudge."""
