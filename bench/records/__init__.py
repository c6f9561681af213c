"""What a run keeps: its folder, its rows, what it ran on, and the statistics of its figures."""
