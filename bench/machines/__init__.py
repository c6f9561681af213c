"""The machines that the benchmark runs on, one file each."""
