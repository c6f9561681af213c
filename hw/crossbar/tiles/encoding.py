"""How signed weights are held by conductances that cannot be negative.

A tile is a physical array of devices, (physical rows, physical columns). An encoding says which conductances hold a
matrix W (rows, columns) with |w| <= w_max, and how currents become the product again; w = scale * signed conductance.

- "pair": two neighbouring columns for each column of W, G+ = g_min + max(w, 0) / scale and G- = g_min + max(-w, 0) /
  scale, whose currents are subtracted before they are converted. The transposed read drives G- with minus the voltage.
- "balanced": the same two columns around the middle of the range, G+- = g_mid +- w / (2 scale): half the devices more
  to read out, and both of a pair can move both ways, which is what learning by pulses needs.
- "offset": one device per weight around the middle of the range, G = g_mid + w / scale, and one more row and column of
  devices at g_mid. The current of the reference column is subtracted from every column, that of the reference row from
  every row of the transposed read. Each read sees the errors of its own reference: real devices make the two matrices
  differ, also behind perfect wires, where pairs are exactly symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device


@dataclass(frozen=True)
class Signed:
    """A linear map (rows, columns) of signed numbers, and the noise that comes with reading it.

    `variance` is that of each entry; `common` (rows,) that of the reference which all outputs have in common.
    """

    weight: Array
    variance: Array
    common: Array | None


class Encoding(Protocol):
    """One of `ENCODINGS`."""

    name: str

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """Physical rows and columns that a matrix (rows, columns) takes."""
        ...

    def capacity(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of the largest matrix that a physical array holds; 0 where not even one weight fits."""
        ...

    def scale(self, w_max: float, device: Device) -> float:
        """Weight per siemens."""
        ...

    def targets(self, weight: Array, w_max: float, device: Device) -> Array:
        """Conductances (physical rows, physical columns) that hold the matrix."""
        ...

    def pulses(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """(physical rows, physical columns) pulses, up where positive, that move weights (rows, columns) by `counts`
        nominal steps each way they go."""
        ...

    @property
    def devices_per_weight(self) -> int:
        """Devices that a pulse count moves: a nominal pulse changes the weight by so many steps."""
        ...

    def differences(self, currents: Array) -> Array:
        """(N, columns) from the currents (N, physical columns) of an upward read."""
        ...

    def up(self, g_s: Array, variance_s2: Array, scale: float) -> Signed:
        """What driving the rows and sensing the columns computes."""
        ...

    def down(self, g_s: Array, variance_s2: Array, scale: float) -> Signed:
        """What driving the columns and sensing the rows computes, as (columns, rows)."""
        ...

    def drive_columns(self, x: Array) -> Array:
        """(N, physical columns) voltages of the transposed read of x (N, columns)."""
        ...

    def row_differences(self, currents: Array) -> Array:
        """(N, rows) from the currents (N, physical rows) of the transposed read."""
        ...

    def down_squares(self, curvature: Array, scale: float) -> Array:
        """(columns, rows) matrix of the squared inputs of a transposed read of cells with I = G V + curvature V**2.

        A cell that is driven from its column sees the opposite voltage, which turns the even part of its current over.
        """
        ...

    def row_total(self, g_s: Array) -> Array:
        """(rows,) conductance that one driven row sees: what its voltage dissipates in."""
        ...

    def column_total(self, g_s: Array) -> Array:
        """(columns,) conductance that one driven column of W sees."""
        ...


class DifferentialPair:
    """Two devices per weight."""

    name = "pair"

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """(rows, 2 columns)."""
        return rows, 2 * columns

    def capacity(self, rows: int, columns: int) -> tuple[int, int]:
        """(rows, columns // 2)."""
        return rows, columns // 2

    def scale(self, w_max: float, device: Device) -> float:
        """w_max / (g_max - g_min)."""
        return w_max / (device.g_max_s - device.g_min_s)

    def targets(self, weight: Array, w_max: float, device: Device) -> Array:
        """g_min + max(+-w, 0) / scale in even and odd columns."""
        both = np.stack([np.maximum(weight, 0.0), np.maximum(-weight, 0.0)], axis=2)
        g = device.g_min_s + both / self.scale(w_max, device)
        return g.reshape(weight.shape[0], -1)

    def pulses(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """G+ goes where the weight goes, G- the other way."""
        return np.stack([counts, -counts], axis=2).reshape(counts.shape[0], -1)

    @property
    def devices_per_weight(self) -> int:
        """Both of a pair."""
        return 2

    def differences(self, currents: Array) -> Array:
        """I+ - I-."""
        return np.asarray(currents[:, ::2] - currents[:, 1::2])

    def up(self, g_s: Array, variance_s2: Array, scale: float) -> Signed:
        """scale (G+ - G-)."""
        return Signed(scale * self.differences(g_s), scale**2 * (variance_s2[:, ::2] + variance_s2[:, 1::2]), None)

    def down(self, g_s: Array, variance_s2: Array, scale: float) -> Signed:
        """The transpose of `up` on the conductances that the transposed read sees."""
        up = self.up(g_s, variance_s2, scale)
        return Signed(up.weight.T, up.variance.T, None)

    def drive_columns(self, x: Array) -> Array:
        """x and -x in turns."""
        return np.stack([x, -x], axis=2).reshape(len(x), -1)

    def row_differences(self, currents: Array) -> Array:
        """The currents themselves: what G- conducts comes with its sign."""
        return currents

    def down_squares(self, curvature: Array, scale: float) -> Array:
        """-scale (C+ + C-): the square forgets that G- is driven with minus the voltage."""
        return np.asarray(-scale * (curvature[:, ::2] + curvature[:, 1::2]).T)

    def row_total(self, g_s: Array) -> Array:
        """Both devices of every pair."""
        return np.asarray(g_s.sum(axis=1))

    def column_total(self, g_s: Array) -> Array:
        """Both columns of the pair."""
        total = g_s.sum(axis=0)
        return np.asarray(total[::2] + total[1::2])


class BalancedPair(DifferentialPair):
    """Two devices per weight, which share it."""

    name = "balanced"

    def targets(self, weight: Array, w_max: float, device: Device) -> Array:
        """g_mid +- w / (2 scale) in even and odd columns."""
        middle = (device.g_max_s + device.g_min_s) / 2
        half = weight / (2 * self.scale(w_max, device))
        return middle + np.stack([half, -half], axis=2).reshape(weight.shape[0], -1)


class OffsetColumn:
    """One device per weight, and one reference row and column."""

    name = "offset"

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """(rows + 1, columns + 1)."""
        return rows + 1, columns + 1

    def capacity(self, rows: int, columns: int) -> tuple[int, int]:
        """(rows - 1, columns - 1)."""
        return max(rows - 1, 0), max(columns - 1, 0)

    def scale(self, w_max: float, device: Device) -> float:
        """2 w_max / (g_max - g_min)."""
        return 2 * w_max / (device.g_max_s - device.g_min_s)

    def targets(self, weight: Array, w_max: float, device: Device) -> Array:
        """g_mid + w / scale, bordered by g_mid."""
        middle = (device.g_max_s + device.g_min_s) / 2
        return np.pad(middle + weight / self.scale(w_max, device), ((0, 1), (0, 1)), constant_values=middle)

    def pulses(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The device of the weight alone; references are not touched."""
        return np.pad(counts, ((0, 1), (0, 1)))

    @property
    def devices_per_weight(self) -> int:
        """One."""
        return 1

    def differences(self, currents: Array) -> Array:
        """I - I of the reference column."""
        return np.asarray(currents[:, :-1] - currents[:, -1:])

    def up(self, g_s: Array, variance_s2: Array, scale: float) -> Signed:
        """scale (G - reference column)."""
        return Signed(
            scale * self.differences(g_s[:-1]), scale**2 * variance_s2[:-1, :-1], scale**2 * variance_s2[:-1, -1]
        )

    def down(self, g_s: Array, variance_s2: Array, scale: float) -> Signed:
        """scale (G^T - reference row)."""
        return self.up(g_s.T, variance_s2.T, scale)

    def drive_columns(self, x: Array) -> Array:
        """x, and nothing on the reference column."""
        return np.pad(x, ((0, 0), (0, 1)))

    def row_differences(self, currents: Array) -> Array:
        """I - I of the reference row."""
        return np.asarray(currents[:, :-1] - currents[:, -1:])

    def down_squares(self, curvature: Array, scale: float) -> Array:
        """-scale (C - C of the reference row)."""
        return np.asarray(-scale * (curvature[:-1, :-1] - curvature[-1:, :-1]).T)

    def row_total(self, g_s: Array) -> Array:
        """A driven row feeds its devices and the reference column."""
        return np.asarray(g_s[:-1].sum(axis=1))

    def column_total(self, g_s: Array) -> Array:
        """A driven column feeds its devices and the reference row."""
        return np.asarray(g_s[:, :-1].sum(axis=0))


ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding for encoding in (DifferentialPair(), BalancedPair(), OffsetColumn())
}
"""Encodings by name."""
