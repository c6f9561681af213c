"""Rows of studies, put together: what differs in nothing but the die, and cosines by die."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from bench.records.learning_row import LearningRow


def cosines(rows: Sequence[LearningRow], remedy: str, beta: float) -> list[float]:
    """One per die: mean over links. The readout is left out: it sees its error in every state, whatever the nudge."""
    return [
        fmean(value for link, value in entry["cosine"].items() if link != "readout")
        for row in rows
        for entry in row.cosines or []
        if entry["remedy"] == remedy and entry["beta"] == beta
    ]


def groups(rows: Sequence[LearningRow]) -> list[tuple[str, list[LearningRow]]]:
    """Rows that differ in nothing but the die, with a title."""
    groups: dict[str, list[LearningRow]] = {}
    for row in rows:
        groups.setdefault(_title(row), []).append(row)
    return list(groups.items())


def _title(row: LearningRow) -> str:
    if row.point is None:
        return f"{row.backend} {row.precision}"
    return ", ".join([point_title(row), *([row.update] if row.update else [])])


def point_title(row: LearningRow) -> str:
    """The die of a row, in words."""
    if row.backend == "resistive":
        parts = [row.at("resistor"), f"noise x {row.at('resistor_noise'):g}", f"{row.at('resistor_hours'):g} h"]
        return ", ".join([*parts, *([f"offsets {row.at('offset_mv'):g} mV"] if row.at("offset_mv") else [])])
    adc = "ideal ADC" if row.at("adc_bits") is None else f"{row.at('adc_bits')} bit ADC"
    return ", ".join([row.at("device"), f"noise x {row.at('noise_scale'):g}", f"{row.at('hours'):g} h", adc])
