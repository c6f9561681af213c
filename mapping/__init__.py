"""How a network gets onto a machine: quantize it to a `Program`, place it on cores, hand the circuit to the machine.

    EPNetwork --quantize--> Program --circuit_of--> hw.circuit.Circuit --to_lava, to_digital--> Machine

An `EPNetwork` given to `to_lava` or `to_digital` runs in floating point, a `Program` in integers.
"""
