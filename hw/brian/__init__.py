"""The network in continuous time, in Brian2: as rates, and as spikes.

    tau ds_l/dt = clip(W_l s_{l-1} + b_l + W_{l+1}^T s_{l+1}, 0, 1) - s_l

`equations` writes neurons as Brian reads them, `synapses` and `operators` carry what they say along the links,
`network` puts them together and runs them, `machine` is what users hold. `recording` counts while it runs, `learning`
compares phases. Brian itself is imported where it is first needed (`loading`).
"""
