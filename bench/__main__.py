"""`python -m bench`: the commands there are."""

from __future__ import annotations

COMMANDS = {
    "bench.compare": "what an answer costs on every platform, when there is one, and how far that is from physics",
    "bench.run": "settle a trained network on machines: accuracy, robustness, energy, latency",
    "bench.constants": "the constants behind every modelled joule and second, with their sources",
    "bench.learn": "learn on machines: repair a damaged die, from scratch, how strong the nudge must be",
    "bench.sweep": "a grid of runs, by many processes, on one computer or a cluster",
    "bench.report": "one page of any number of runs, studies and sweeps, with figures that can be asked",
    "bench.diff": "what has changed between two runs or sweeps, and is any of it worse",
    "bench.zoo": "trained networks side by side: accuracy and work against steps, room on hardware",
    "bench.robustness": "attacks and corruptions, on a network and on machines, and checks of the attacks",
    "bench.corruptions": "natural corruptions of test images, and whether they are the same bits as everybody's",
    "bench.rest": "how long the circuits of trained networks take to rest, beside their slowest mode",
    "bench.resistive": "resistors that settle by themselves: noise, repair, time, energy",
    "bench.spice": "a network of resistors beside SPICE, node by node",
    "bench.speed": "how fast, measured here and now",
    "mapping.export": "write a trained network as files that hardware and other tools load",
    "mapping.measured": "bring conductances back that were measured on a chip",
    "models.train": "train a network by equilibrium propagation",
    "models.resistive": "train a network of resistors and diodes",
    "models.twin": "train its feed-forward twin by backpropagation",
    "models.vit": "train a vision transformer by backpropagation",
    "models.controls": "keep finished networks as controls, in 8 bits",
}


def main() -> None:
    """Print a line per command."""
    width = max(map(len, COMMANDS))
    for name, purpose in COMMANDS.items():
        print(f"python -m {name:{width}}  {purpose}")
    print("\nEach tells its options with --help.")


if __name__ == "__main__":
    main()
