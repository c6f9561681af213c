"""How a change of weights becomes writes on the devices that hold them.

- `stochastic.StochasticPulses`: coinciding pulses, nothing stored beside the devices.
- `mixed.MixedPrecision`: a digital number per weight, whole pulses.
- `two_arrays.TwoArrays`: gradients gathered on a fast array (Tiki-Taka).
- `rewriting.Rewriting`: a digital number per weight, devices programmed anew; for any device.

`write_back.WriteBack` is what they are compared with: write and verify, without learning.
"""
