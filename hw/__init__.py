"""What machines do: the digital reference, Lava processes, and what their work costs.

Every machine obeys the protocol of `hw.machine` and writes down its work in a `hw.ledger.Ledger` while it works.
Nothing here knows an `EPNetwork` or a `Program`: `mapping` translates those into what a machine takes.
"""
