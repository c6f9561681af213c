"""Figures as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NOTHING = "-"
"""Stands where nothing was measured."""


def percent(share: float | None, interval: Sequence[float] | None) -> str:
    """A share and its interval, in percent."""
    if share is None or interval is None:
        return NOTHING
    return f"{100 * share:.1f} ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})"


def spread(values: Mapping[str, float | None], unit: str) -> str:
    """Nominal (low to high)."""
    if values.get("nominal") is None:
        return NOTHING
    return f"{si(values['nominal'], unit)} ({si(values['low'], unit)} to {si(values['high'], unit)})"


def si(value: float | None, unit: str) -> str:
    """Three figures with an SI prefix."""
    if value is None:
        return NOTHING
    for factor, prefix in (
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
        (1e-12, "p"),
        (1e-15, "f"),
    ):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}".strip()
    return f"{value:.3g} {unit}".strip()


def markdown(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A table."""
    return [
        "| " + " | ".join(heading) + " |",
        "|---" * len(heading) + "|",
        *("| " + " | ".join(line) + " |" for line in lines),
    ]
