"""Learning on Lava: free and nudged phases counted inside the models, the update in the learning phase of Lava.

    source --s--> link 1 <==> layer 1 <==> ... layer L --s--> nudging --pull--> layer L

Links and layers are those of a settle that keep what they learn: where a phase ends, a link correlates the states on
its two sides, and after the last phase moves its weights by their contrast; a layer does so with its biases. The
nudging holds the readout and the label: it pulls the last layer in nudged phases and learns too. No process sees more
than the states at its own ports and what the host assigns: how many images count, and rates.
"""
