"""The devices of a tile as a table, a line per device, and as matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.files.places import Places


def write_table(path: Path, places: Places, values: Mapping[str, NDArray[Any]]) -> None:
    """A CSV of all devices of a tile, row by row: place on the tile, place in the network, values (rows, columns).

    Numbers are written so that reading them gives the same bits.
    """
    rows, columns = np.indices(places.sign.shape)
    columns_of_table = {"row": rows, "column": columns}
    columns_of_table |= {field.name: getattr(places, field.name) for field in fields(places)}
    texts = [map(str, values.ravel().tolist()) for values in (*columns_of_table.values(), *values.values())]
    header = ",".join((*columns_of_table, *values))
    path.write_text("\n".join([header, *map(",".join, zip(*texts, strict=True)), ""]), encoding="utf-8")
