"""The page: one file that needs no network. DataTables draws the table, Vega-Lite the figures; both stand in it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

import vl_convert

from bench.reports.page.figure import Figure, Line
from bench.reports.page.gathered import Gathered
from bench.reports.page.table import columns_of

PAGE = Path(__file__).with_name("page.html")
EMBED = "window.vegaEmbed = vegaEmbed; window.vega = vega;"
"""What the bundle of Vega leaves for the page."""
FILTERED = ("folder", "machine", "network", "data", "device", "study", "way", "attack", "threat")
"""Columns that the table offers to choose values of, if they have several."""
MOST_FILTERS = 5
ALWAYS = ("machine", "network", "accuracy %", "low", "high")
"""Columns of the table even where all rows have the same there."""


def page(gathered: Gathered, lines: Sequence[Line], figures: Sequence[Figure], command: str) -> str:
    """The whole file."""
    every = columns_of(lines)
    names = [name for name in every if len(lines) == 1 or name in ALWAYS or _several(lines, name)]
    same = ", ".join(f"{name} {lines[0][name]}" for name in every if name not in names)
    filters = [place for place, name in enumerate(names) if name in FILTERED and _several(lines, name)]
    table = {
        "columns": [{"title": name.replace("_", " ")} for name in names],
        "data": [[line.get(name) for name in names] for line in lines],
        "filters": filters[:MOST_FILTERS],
    }
    title = ", ".join(source.name for source in gathered.sources)
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title if len(title) < 80 else f"{len(gathered.sources)} folders"),
        sources="\n".join(_source(gathered, number) for number in range(len(gathered.sources))),
        command=escape(command),
        rows=f"{len(lines):,}",
        same=escape(f"Of all rows: {same}." if same else ""),
        contents=" · ".join(f'<a href="#{figure.name}">{escape(figure.title)}</a>' for figure in figures),
        figures="\n".join(map(_section, figures)),
        style=_bundle("css").read_text(encoding="utf-8"),
        table_module=b64encode(_bundle("js").read_bytes()).decode(),
        vega=_within_script(vl_convert.javascript_bundle(EMBED)),
        table=_data(table),
        specs=_data({figure.name: figure.spec("container") for figure in figures}),
    )


def _several(lines: Sequence[Line], name: str) -> bool:
    return len({line.get(name) for line in lines}) > 1


def _source(gathered: Gathered, number: int) -> str:
    source = gathered.sources[number]
    failed = f" {source.failed} points failed." if source.failed else ""
    return (
        f"<li><strong>{escape(source.name)}</strong>. {escape(source.environment)}{failed}"
        f"<pre>{escape(source.command)}</pre></li>"
    )


def _section(figure: Figure) -> str:
    files = " ".join(f'<a href="figures/{figure.name}.{kind}">{kind.upper()}</a>' for kind in ("png", "svg", "csv"))
    return (
        f'<figure id="{figure.name}"><div class="chart" data-name="{figure.name}"></div>'
        f'<figcaption>{escape(figure.caption)} <span class="files">{files}</span></figcaption></figure>'
    )


def _bundle(kind: str) -> Path:
    """DataTables as itables ships it; the package itself, which wants a notebook, is not imported."""
    found = find_spec("itables")
    assert found is not None, "the command asks for it before"
    assert found.origin is not None
    return Path(found.origin).parent / "html" / f"dt_bundle.{kind}"


def _data(values: Any) -> str:
    return _within_script(json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def _within_script(text: str) -> str:
    """Nothing in it ends the script that it stands in."""
    return re.sub(r"</(?=script)|<!--", lambda found: found.group().replace("<", "\\u003c"), text, flags=re.IGNORECASE)
