"""The Lava machine: a settle as a graph of Lava processes on the genuine Lava runtime.

    source --s--> link 1 <==> layer 1 <==> link 2 <==> ... layer L --s--> readout

A link holds one weight tensor and sends both ways; a layer adds up what its links send (Lava in-ports sum) and is a
neuron population; one Lava time step is one synchronous step of the dynamics. States on ports carry the whole batch.

The graph runs in an interpreter of its own (`hw.lava.serve`), because Lava forks its processes, changes how
`multiprocessing` starts them, takes over logging, and loses processes and shared memory when anything fails.
`hw.lava.process` starts that interpreter, talks to it and clears up after it, whatever happens; `hw.lava.machine` is
what users hold; `hw.lava.learning` is the graph that learns.
"""
