"""What a figure of a page is: a chart of Vega-Lite, with its data inside it and beside it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from bench.reports.colours import COLOURS
from models.files.whole import write_atomically

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Of Vega-Lite: what is inlined is a version later than what altair writes, and reads the same."""
WIDTH, SCALE = 640, 2
"""Of PNG and SVG, in pixels, and how many of PNG make one."""
Line = dict[str, Any]
"""One datum: plain values by name."""
Chart = alt.Chart | alt.LayerChart
CONFIG = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"gridOpacity": 0.4, "labelLimit": 260, "titleFontWeight": "normal"},
    "legend": {"labelLimit": 420, "symbolLimit": 60, "titleFontWeight": "normal"},
    "title": {"anchor": "start", "fontWeight": "normal", "fontSize": 14, "subtitleColor": "#555555"},
}


@dataclass(frozen=True)
class Figure:
    """A chart, and what it says."""

    name: str
    """Of its files."""
    title: str
    subtitle: str
    """What it is of: network, device, number of dies and images."""
    caption: str
    data: Sequence[Line]
    chart: Chart
    hidden: tuple[str, ...] = ()
    """Data that are no figures, such as pictures, and stay out of the table beside it."""

    def spec(self, width: int | str) -> dict[str, Any]:
        """Vega-Lite of a width in pixels, or of that of the page ("container")."""
        made: dict[str, Any] = self.chart.to_dict(validate=False)
        title = {"text": self.title, "subtitle": self.subtitle}
        autosize = {"type": "fit-x", "contains": "padding"}
        data = {"values": list(self.data)}
        for part in (made, *made.get("layer", ())):  # where altair says that they have no data of their own
            part.pop("data", None)
            part.pop("datasets", None)
        made |= {"$schema": SCHEMA, "data": data}
        return {**made, "width": width, "title": title, "autosize": autosize, "config": CONFIG}

    def save(self, folder: Path) -> None:
        """NAME.png, NAME.svg and NAME.csv."""
        spec = self.spec(WIDTH)
        svg = vl_convert.vegalite_to_svg(spec)
        write_atomically(folder / f"{self.name}.svg", svg.encode())
        write_atomically(folder / f"{self.name}.png", vl_convert.svg_to_png(svg, scale=SCALE))
        write_atomically(folder / f"{self.name}.csv", table_of(self.data, self.hidden).encode())


def table_of(lines: Sequence[Line], hidden: Sequence[str] = ()) -> str:
    """Lines as CSV."""
    names = [name for name in dict.fromkeys(name for line in lines for name in line) if name not in hidden]
    stream = StringIO(newline="")
    writer = csv.DictWriter(stream, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def coloured(field: str, title: str, names: Sequence[str]) -> alt.Color:
    """Colours for names, in their order; with a legend below, which takes no width from the figure."""
    scale = alt.Scale(domain=list(names), range=[COLOURS[index % len(COLOURS)] for index in range(len(names))])
    columns = 1 if max(map(len, map(str, names)), default=0) > 40 else 4
    below = alt.Legend(orient="bottom", columns=columns, symbolOpacity=1, symbolType="circle")
    legend = None if len(names) < 2 else below
    return alt.Color(f"{field}:N", title=title, scale=scale, legend=legend)


def wide(values: Sequence[float], kind: str = "linear", most: float = float("inf")) -> alt.Scale:
    """A scale from the least to the greatest value with some room, whatever of the data is shown at the time."""
    low, high = min(values), max(values)
    if kind == "log":
        room = (high / low) ** 0.03 if high > low else 2.0
        return alt.Scale(type="log", nice=False, domain=[low / room, high * room])
    room = 0.04 * (high - low) or 1.0
    if kind == "symlog":
        least = min((value for value in values if value > 0), default=1.0)
        return alt.Scale(type="symlog", constant=least, nice=False, domain=[low - 0.3 * least, high * 1.15])
    return alt.Scale(nice=False, zero=False, domain=[low - room, min(high + room, most)])


def told(line: Line, without: Sequence[str] = ()) -> list[alt.Tooltip]:
    """What the pointer is told of a datum: everything in it, numbers with four figures."""
    return [
        alt.Tooltip(field=name, type="quantitative", format=",.4~g")
        if isinstance(value, int | float) and not isinstance(value, bool)
        else alt.Tooltip(field=name, type="nominal")
        for name, value in line.items()
        if name not in ("kind", "points", *without)
    ]
