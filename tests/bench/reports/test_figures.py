"""Pictures of a run: what stands in them, read from the drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.records.statistics import accuracy_interval, estimate_of_dies
from bench.reports import figures, learning_figures, sweeps
from bench.reports.blocks import learning_rows_of, rows_of
from bench.reports.lessons import cosines


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures in place of files."""
    made: list[Figure] = []
    for module in (figures, learning_figures, sweeps):
        monkeypatch.setattr(module, "save_figure", lambda figure, _: made.append(figure))
    return made


def lines_of(axes: Any) -> list[Any]:
    return [line for line in axes.lines if len(line.get_xdata()) > 1 and line.get_linestyle() not in ("None", ":")]


def test_settling_has_a_logarithmic_axis_bands_and_what_it_is_of_in_its_title(drawn: list[Figure]) -> None:
    rows = rows_of("digits")
    figures.draw_settling(rows, Path("settling.png"))
    (figure,) = drawn
    assert "digits, 360 images" in figure.get_suptitle()
    left, right = figure.axes
    assert left.get_xscale() == right.get_xscale() == "log"
    assert len(left.collections) == len(rows) == 4
    shares = (rows[0].by_step or {})["accuracy"]
    expected = [accuracy_interval(round(share * 360), 360) for share in shares]
    np.testing.assert_allclose(figures.intervals_of(rows[0]), expected, rtol=1e-12)


def test_crossbars_show_events_of_their_own(drawn: list[Figure]) -> None:
    rows = rows_of("hw-cifar10-small-crossbar")
    figures.draw_settling(rows, Path("settling.png"))
    (figure,) = drawn
    assert "pcm-nandakumar-2019, 5 dies" in figure.get_suptitle()
    events = figure.axes[-1]
    assert [label.get_text() for label in events.get_yticklabels()] == [title for _, title in figures.EVENTS]
    counts = [sum(map(sum, rows[1].crossbar["tiles"][name])) for name, _ in figures.EVENTS]
    assert list(events.lines[0].get_xdata()) == counts
    assert not any("synaptic" in axes.get_ylabel() for axes in figure.axes)


def test_energies_are_dots_with_ranges_on_one_axis_torch_among_them(drawn: list[Figure]) -> None:
    rows = rows_of("digits")
    assert figures.draw_energy(rows, Path("energy.png"))
    (figure,) = drawn
    left, right = figure.axes
    priced = [cost for row in rows for cost in row.costs.values()]
    ranges, dots = left.lines[::2], left.lines[1::2]
    assert left.get_xscale() == "log"
    assert [tuple(line.get_xdata()) for line in ranges] == [
        (cost["energy_j"]["low"], cost["energy_j"]["high"]) for cost in priced
    ]
    assert [line.get_xdata()[0] for line in dots] == [cost["energy_j"]["nominal"] for cost in priced]
    assert left.get_yticklabels()[0].get_text().startswith("torch float")
    assert all(bar.get_width() >= 0 for bar in right.patches)


def test_sweeps_show_every_die_and_draw_no_line_through_two_points(drawn: list[Figure], tmp_path: Path) -> None:
    rows = rows_of("digits-crossbar-noise")
    assert sweeps.draw_sweeps(rows, tmp_path) == ["sweep-noise_scale.png", "sweep-hours.png"]
    noise = drawn[0]
    assert "digits-noise-aware, pcm-nandakumar-2019, 5 dies" in noise.axes[0].get_title()
    assert len([line for line in lines_of(noise.axes[0]) if len(line.get_xdata()) == 5]) == 3
    dots = [share for points in noise.axes[0].collections for share in _heights(points)]
    of_dies = [100 * die for row in rows for die in figures.dies_of(row)]
    assert sorted(set(dots) & {round(die, 6) for die in of_dies}) == sorted({round(die, 6) for die in of_dies})
    two = [row for row in rows if row.point is None or row.at("hours") in (0.0, 24.0)]
    drawn.clear()
    sweeps.draw_sweeps(two, tmp_path)
    assert all(len(line.get_xdata()) != 2 for line in lines_of(drawn[1].axes[0]))


def _heights(points: Any) -> list[float]:
    offsets = points.get_offsets() if hasattr(points, "get_offsets") else []
    return [round(float(height), 6) for _, height in offsets]


def test_repairs_have_the_intervals_of_their_table(drawn: list[Figure]) -> None:
    rows = learning_rows_of("digits-repair")
    learning_figures.draw_learning(rows, Path("learning.png"))
    ends = [(rows[0].arms or {})["EP on the die"]["accuracy"][-1]] + [
        (row.arms or {})["EP on the die"]["accuracy"][-1] for row in rows[1:]
    ]
    low, high = (100 * end for end in estimate_of_dies(ends, 360).interval)
    (figure,) = drawn
    bars = [
        segment
        for part in figure.axes[0].collections
        if hasattr(part, "get_segments")
        for segment in part.get_segments()
    ]
    assert any(bar[:, 1] == pytest.approx([low, high]) for bar in bars if len(bar) == 2)


def test_cosines_have_error_bars(drawn: list[Figure]) -> None:
    rows = learning_rows_of("digits-beta")
    learning_figures.draw_learning(rows, Path("learning.png"))
    (figure,) = drawn
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert len(axes.containers) == 4
    dots = [height for points in axes.collections for height in _heights(points)]
    assert {round(value, 6) for value in cosines(rows, "centered", 0.2)} <= set(dots)


def test_every_picture_is_a_drawing_too(tmp_path: Path) -> None:
    figures.draw_energy(rows_of("digits"), tmp_path / "energy.png")
    first = (tmp_path / "energy.svg").read_bytes()
    assert b"<svg" in first
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")
    figures.draw_energy(rows_of("digits"), tmp_path / "energy.png")
    assert (tmp_path / "energy.svg").read_bytes() == first
