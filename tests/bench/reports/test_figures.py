"""Pictures of a run: units that keep figures readable."""

from __future__ import annotations

import pytest

from bench.reports.figures import short, unit_of


@pytest.mark.parametrize(
    ("energy_j", "unit", "shown"),
    [
        (1.24e-2, "mJ", 12.4),
        (1e-3, "mJ", 1.0),
        (1.53e-4, "µJ", 153.0),
        (2.0, "J", 2.0),
        (3e-14, "pJ", 0.03),
        (0, "pJ", 0),
    ],
)
def test_energies_are_shown_in_the_largest_unit_that_they_fill(energy_j: float, unit: str, shown: float) -> None:
    name, per_j = unit_of(energy_j)
    assert name == unit
    assert energy_j * per_j == pytest.approx(shown)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.01234, "0.0123"), (46.84, "46.8"), (999.4, "999"), (999.7, "1,000"), (1099.0, "1,099")]
)
def test_figures_over_bars_have_no_exponents(value: float, shown: str) -> None:
    assert short(value) == shown
