"""What is in a file that holds a network, and how two of them differ: `mapping.inspect` and `mapping.diff`.

`contents` is what all kinds of files are read as, `readers` reads each, `histograms` draws, `differences` compares.
"""
