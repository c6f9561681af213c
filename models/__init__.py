"""What is computed: energy, links, relaxation, equilibrium propagation, data and the zoo of trained networks.

network, data = load_model("digits"), load_data("digits")
relaxed = relax(network, data.test.first(64).floats(), steps=40)
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "Conv",
    "Dataset",
    "Dense",
    "EPNetwork",
    "ImageSet",
    "Phases",
    "build_network",
    "dataset_of",
    "ep_gradient",
    "load_data",
    "load_model",
    "relax",
]

if TYPE_CHECKING:
    from models.data import Dataset, ImageSet, dataset_of, load_data
    from models.ep.gradient import Phases, ep_gradient
    from models.ep.network import Conv, Dense, EPNetwork, build_network
    from models.ep.relaxation import relax
    from models.zoo import load_model
else:
    HOMES = {
        "Dataset": "data",
        "ImageSet": "data",
        "dataset_of": "data",
        "load_data": "data",
        "Phases": "ep.gradient",
        "ep_gradient": "ep.gradient",
        "Conv": "ep.network",
        "Dense": "ep.network",
        "EPNetwork": "ep.network",
        "build_network": "ep.network",
        "relax": "ep.relaxation",
        "load_model": "zoo",
    }

    def __getattr__(name):
        """A public name, imported when it is first asked for (PEP 562)."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)

    def __dir__():
        return sorted({*globals(), *__all__})
