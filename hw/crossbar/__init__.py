"""Analog crossbars: devices, dies, wires, converters, tiles, and the machine that settles a network on them.

tile = Tile(weight, largest, Design(), preset("pcm-nandakumar-2019"), seed=(0,))
y, z = tile @ x, tile.T @ y
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["PRESETS", "Design", "Device", "Fabrication", "Remedies", "Tile", "Wires", "preset", "preset_wires"]

if TYPE_CHECKING:
    from hw.crossbar.devices.device import Device
    from hw.crossbar.devices.presets import PRESETS, preset
    from hw.crossbar.fabrication import Fabrication
    from hw.crossbar.remedies import Remedies
    from hw.crossbar.tiles.design import Design
    from hw.crossbar.tiles.tile import Tile
    from hw.crossbar.tiles.wires import Wires, preset_wires
else:
    HOMES = {
        "Device": "devices.device",
        "PRESETS": "devices.presets",
        "preset": "devices.presets",
        "Fabrication": "fabrication",
        "Remedies": "remedies",
        "Design": "tiles.design",
        "Tile": "tiles.tile",
        "Wires": "tiles.wires",
        "preset_wires": "tiles.wires",
    }

    def __getattr__(name):
        """A public name, imported when it is first asked for (PEP 562)."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)

    def __dir__():
        return sorted({*globals(), *__all__})
