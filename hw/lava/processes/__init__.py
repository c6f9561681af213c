"""The Lava processes and their models, one kind per file.

Lava executes every file of this folder whenever it looks for the model of a process: keep them free of side effects.
Ports carry the batch last: states (*shape, B), sums (*shape, B).
"""
