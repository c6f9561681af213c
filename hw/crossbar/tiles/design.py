"""The design of a crossbar chip: everything that is chosen before a network is put on it, except the device."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from hw.crossbar.mesh import NETWORKS, Network
from hw.crossbar.tiles.converters import ADC_BITS, DAC_BITS, check_bits
from hw.crossbar.tiles.encoding import ENCODINGS, Encoding
from hw.crossbar.tiles.wires import Wires

Neurons = Literal["digital", "analog"]


@dataclass(frozen=True)
class Design:
    """Tiles, converters and neurons; checked when made."""

    rows: int = 256
    """Rows of devices of a tile."""
    columns: int = 512
    """Columns of devices of a tile; a differential pair takes two, so that 256 x 512 devices hold 256 x 256 weights."""
    encoding: str = "pair"
    """How signed weights are held: "pair" or "offset"."""
    weight_bits: int | None = None
    """Bits of a weight with its sign, if weights are cut into slices; None holds the whole weight in one device."""
    cell_bits: int = 2
    """Bits of one slice."""
    input_bits: int | None = 8
    """Resolution of the inputs; None for an ideal driver."""
    slice_bits: int | None = None
    """Bits of the input that one read drives (1 is bit-serial); None drives them all at once."""
    adc_bits: int | None = 8
    """Resolution of the column converters; None for ideal ones."""
    dac_gain_sigma: float = 0.0
    """Relative spread of the gain of the row and column drivers, fixed for a die."""
    adc_gain_sigma: float = 0.0
    """Relative spread of the gain of the converters, fixed for a die."""
    adc_offset_sigma: float = 0.0
    """Spread of the offset of the converters as a share of their worst-case range, fixed for a die."""
    wires: Wires = field(default_factory=lambda: Wires(0.0, 0.0))
    """Resistance of the wires."""
    neurons: Neurons = "digital"
    """"digital" neurons sit behind the converters; "analog" ones take currents as they are, and nothing but the images
    and the final answer is converted: partial sums of tiles and slices are weighed and added, and pools taken, of held
    analog values. Scores of steps before the last are those a converter would give there."""

    network: Network = "mesh"
    """What joins the tiles: a "mesh" with a router at each, or one "bus"."""

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network {self.network!r} is unknown, choices are {', '.join(NETWORKS)}")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding {self.encoding!r} is unknown, choices are {', '.join(ENCODINGS)}")
        if self.neurons not in get_args(Neurons):
            raise ValueError(f"neurons {self.neurons!r} are unknown, choices are {', '.join(get_args(Neurons))}")
        if min(self.codec.capacity(self.rows, self.columns)) < 1:
            least = self.codec.shape(1, 1)
            raise ValueError(
                f"a tile of {self.rows} x {self.columns} devices holds no weight as {self.encoding}: "
                f"{least[0]} x {least[1]} are needed"
            )
        check_bits("input_bits", self.input_bits, DAC_BITS)
        check_bits("adc_bits", self.adc_bits, ADC_BITS)
        if self.slice_bits is not None and (self.input_bits is None or not 1 <= self.slice_bits <= self.input_bits):
            raise ValueError(f"slice_bits is {self.slice_bits}, must be 1 to input_bits, which is {self.input_bits}")
        if self.weight_bits is not None and not 2 <= self.weight_bits <= 16:
            raise ValueError(
                f"weight_bits is {self.weight_bits}, choices are 2 to 16, or None for one device per weight"
            )
        if not 1 <= self.cell_bits <= 8:
            raise ValueError(f"cell_bits is {self.cell_bits}, choices are 1 to 8")
        for name in ("dac_gain_sigma", "adc_gain_sigma", "adc_offset_sigma"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a share from 0 up to but not 1")

    @property
    def input_slices(self) -> int:
        """Reads that one product takes, one after the other."""
        return 1 if self.input_bits is None or self.slice_bits is None else -(-self.input_bits // self.slice_bits)

    def converters(self, index: int, chain: int) -> tuple[bool, bool]:
        """Whether link `index` of a chain, with the readout as number `chain`, has DACs and ADCs.

        Between analog neurons there are none.
        """
        digital = self.neurons == "digital"
        return digital or index == 0, digital or index == chain

    def around(self, index: int, chain: int) -> Design:
        """The design of link `index` of a chain, with the converters that it has."""
        has_dac, has_adc = self.converters(index, chain)
        return replace(
            self,
            input_bits=self.input_bits if has_dac else None,
            slice_bits=self.slice_bits if has_dac else None,
            adc_bits=self.adc_bits if has_adc else None,
        )

    @property
    def codec(self) -> Encoding:
        """The encoding itself."""
        return ENCODINGS[self.encoding]
