"""The Lava processes that learn and their models, one kind per file.

Lava executes every file of this folder whenever it looks for the model of a process: keep them free of side effects.
Ports carry the batch last, as in `hw.lava.processes`.
"""
