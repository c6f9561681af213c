"""Rows go to a file and come back; what an older version wrote is brought up, what is not known is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records.learning_row import LearningRow
from bench.records.row import SCHEMA, Row
from bench.records.rows_file import read_rows
from bench.records.statistics import estimate_of_dies, mean_interval
from bench.records.zoo_row import ZooRow
from bench.reports.blocks import RESULTS
from models.files.provenance import Provenance

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
FIGURES = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.none() | st.fixed_dictionaries({"device": WORDS, "hours": FIGURES, "adc_bits": st.none() | st.integers()})
SHARES = st.floats(0, 1)
PAIRS = st.tuples(SHARES, SHARES)
BLOCKS = st.dictionaries(WORDS, st.none() | FIGURES | st.lists(FIGURES, max_size=2), max_size=2)
MADE_BY = st.none() | st.builds(Provenance, WORDS, st.none() | WORDS, WORDS)
OTHER = st.sampled_from(["crossbar", "toy", "wafer"])
ROWS = st.builds(
    Row,
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.integers(0, 9),
    point=POINTS,
    images=st.none() | st.integers(1, 99),
    accuracy=st.none() | SHARES,
    accuracy_ci95=st.none() | PAIRS,
    robust=st.dictionaries(WORDS, SHARES, max_size=2),
    robust_ci95=st.dictionaries(WORDS, PAIRS, max_size=2),
    against_float=st.none() | st.fixed_dictionaries({"difference": FIGURES, "ci95": st.lists(FIGURES, max_size=2)}),
    answers=st.none() | WORDS,
    steps=st.none() | FIGURES,
    rest_s=st.none() | FIGURES,
    residual=st.none() | st.dictionaries(WORDS, FIGURES, max_size=2),
    coding=st.none() | WORDS,
    synops=st.none() | st.dictionaries(WORDS, FIGURES, max_size=2),
    neurobench=st.none() | st.dictionaries(WORDS, FIGURES, max_size=2),
    energy_j=BLOCKS,
    energy_measured_j=st.none() | FIGURES,
    latency_s=BLOCKS,
    wall_s_per_image=st.none() | FIGURES,
    costs=st.dictionaries(WORDS, BLOCKS, max_size=2),
    unpriced=st.dictionaries(WORDS, WORDS, max_size=2),
    device=st.none() | WORDS,
    by_step=st.none() | st.dictionaries(WORDS, st.lists(FIGURES, max_size=3), max_size=2),
    details=st.dictionaries(OTHER, BLOCKS, max_size=2),
    made_by=MADE_BY,
    date=st.none() | WORDS,
)
CURVES = st.fixed_dictionaries({"accuracy": st.lists(SHARES, min_size=1, max_size=3), "stopped": st.none() | WORDS})
LEARNING_ROWS = st.builds(
    LearningRow,
    st.sampled_from(["repair", "scratch", "beta"]),
    WORDS,
    WORDS,
    st.integers(0, 9),
    st.integers(1, 99),
    update=st.none() | WORDS,
    point=POINTS,
    die=st.none() | st.integers(1, 9),
    model=st.none() | WORDS,
    float_accuracy=st.none() | SHARES,
    damage=st.none() | BLOCKS,
    arms=st.none() | st.dictionaries(WORDS, CURVES, max_size=2),
    curve=st.none() | CURVES,
    cosines=st.none() | st.lists(BLOCKS, max_size=2),
    learnt=st.none() | WORDS,
    answers=st.none() | WORDS,
    device=st.none() | WORDS,
    made_by=MADE_BY,
    date=st.none() | WORDS,
)
ZOO_ROWS = st.builds(ZooRow, ROWS, WORDS, st.integers(1, 99), st.dictionaries(WORDS, FIGURES, max_size=2))

IN_1 = (
    "accuracy", "accuracy_by_die", "accuracy_ci95", "backend", "costs", "data", "dies", "energy_j", "energy_measured_j",
    "images", "latency_s", "model", "point", "precision", "residual", "robust", "robust_ci95", "seed", "steps",
    "synops", "tiles", "unpriced", "wall_s_per_image",
)  # fmt: skip
"""What a row of version 1 had on the last line of a run: users read it by these names."""


def through_a_file(row: Any) -> dict[str, Any]:
    """Its JSON, read again."""
    values: dict[str, Any] = json.loads(json.dumps(row.to_json()))
    return values


@settings(max_examples=40, deadline=None)
@given(row=ROWS)
def test_a_row_comes_back_from_a_file(row: Row) -> None:
    again = Row.from_json(through_a_file(row))
    assert again == row
    assert again.key.key == row.key.key


@settings(max_examples=40, deadline=None)
@given(row=LEARNING_ROWS)
def test_a_row_of_a_study_comes_back_from_a_file(row: LearningRow) -> None:
    again = LearningRow.from_json(through_a_file(row))
    assert again == row
    assert again.key.key == row.key.key
    written = row.to_json()
    assert all(written[name] is not None for name in written.keys() - {"update", "point", "die"})


@settings(max_examples=40, deadline=None)
@given(row=ZOO_ROWS)
def test_a_row_of_the_zoo_comes_back_from_a_file(row: ZooRow) -> None:
    again = ZooRow.from_json(through_a_file(row))
    assert again == row
    assert again.key == row.key


@settings(max_examples=40, deadline=None)
@given(row=ROWS)
def test_the_last_line_has_every_name_that_it_once_had(row: Row) -> None:
    contract = row.contract()
    assert set(IN_1) <= contract.keys()
    assert "by_step" not in contract
    assert contract["schema"] == SCHEMA
    for block, told in row.details.items():
        assert contract[block] == told


def test_the_last_line_tells_of_dies_where_it_always_did() -> None:
    block = {"accuracy_by_die": [0.5], "dies": [{"kappa": {}}], "tiles": {"slots": 2.0}}
    contract = Row("crossbar", "analog", "digits", "digits", 0, details={"crossbar": block}).contract()
    assert {name: contract[name] for name in block} == block
    plain = Row("torch", "float", "digits", "digits", 0).contract()
    assert plain["accuracy_by_die"] is plain["dies"] is plain["tiles"] is None


def committed(learnt: bool) -> list[str]:
    """Runs that are committed: studies, or all others but the zoo."""
    files = [file for file in sorted(RESULTS.glob("*/rows.jsonl")) if file.parent.name != "zoo"]
    return [file.parent.name for file in files if ("learn" in read_rows(file)[0]) == learnt]


def rows_of_1(name: str) -> list[dict[str, Any]]:
    """As they would be without a version; committed ones may be of either."""
    rows = read_rows(RESULTS / name / "rows.jsonl")
    return [row for row in rows if "schema" not in row]


@pytest.mark.parametrize("name", committed(learnt=False))
def test_rows_of_version_1_are_brought_up(name: str) -> None:
    for values in rows_of_1(name):
        row = Row.from_json(values)
        assert (row.backend, row.precision, row.accuracy) == (
            values["backend"],
            values["precision"],
            values["accuracy"],
        )
        assert row.point == values.get("point")
        assert ("crossbar" in row.details) == bool(values.get("dies"))
        if row.accuracy is None:
            continue
        assert row.coding == {"delta": "delta"}.get(row.precision, "zero_skip" if row.backend == "lava" else "dense")
        contract = json.loads(json.dumps(row.contract()))
        intervals = {"accuracy_ci95", "robust_ci95"} if values.get("accuracy_by_die") else set()
        for field in set(IN_1) & values.keys() - intervals:
            # a machine without dies once said []
            assert contract[field] == (None if values[field] == [] else values[field]), field


def test_intervals_of_dies_up_to_version_3_get_what_images_add() -> None:
    block = {"accuracy_by_die": [0.9, 0.8, 0.85]}
    mean, interval = mean_interval(block["accuracy_by_die"])
    values = {
        **KEY,
        "backend": "crossbar",
        "images": 100,
        "accuracy": mean,
        "accuracy_ci95": interval,
        "crossbar": block,
    }
    older = {**values, "robust": {"gaussian-0.1": mean}, "robust_ci95": {"gaussian-0.1": interval}}
    wider = estimate_of_dies(block["accuracy_by_die"], 100).interval
    for version in (2, 3):
        row = Row.from_json({"schema": version, **older})
        assert row.accuracy_ci95 == row.robust_ci95["gaussian-0.1"] == pytest.approx(wider)
    assert Row.from_json({"schema": SCHEMA, **older}).accuracy_ci95 == interval
    assert Row.from_json({"schema": 3, **values, "crossbar": {}}).accuracy_ci95 == interval


@pytest.mark.parametrize("name", committed(learnt=True))
def test_rows_of_studies_of_version_1_are_the_same(name: str) -> None:
    for values in rows_of_1(name):
        written = json.loads(json.dumps(LearningRow.from_json(values).to_json()))
        assert {name: written[name] for name in values} == values
        assert written["schema"] == SCHEMA


def test_rows_of_the_zoo_of_version_1_are_brought_up() -> None:
    for values in rows_of_1("zoo"):
        card = ZooRow.from_json(values)
        assert (card.sha256, card.step_limit, card.network) == tuple(
            values[name] for name in ("sha256", "step_limit", "network")
        )
        assert (card.row.model, card.row.accuracy) == (values["model"], values["accuracy"])


KEY = {"backend": "torch", "precision": "float", "model": "digits", "data": "digits", "seed": 0}
STUDY = {"learn": "scratch", "backend": "torch", "precision": "float", "seed": 0, "images": 8}


@pytest.mark.parametrize(("read", "values"), [(Row.from_json, KEY), (LearningRow.from_json, STUDY)])
def test_another_version_and_an_unknown_field_are_refused_by_name(
    read: Callable[[dict[str, Any]], Any], values: dict[str, Any]
) -> None:
    assert read({"schema": SCHEMA, **values}).backend == "torch"
    with pytest.raises(ValueError, match=f"a row has schema {SCHEMA + 1}, this program reads 1, 2, 3, {SCHEMA}"):
        read({"schema": SCHEMA + 1, **values})
    with pytest.raises(ValueError, match="a row has schema '2', this program reads"):
        read({"schema": "2", **values})
    with pytest.raises(ValueError, match=r"a row has acuracy, known are .*backend"):
        read({"schema": SCHEMA, **values, "acuracy": 0.5})


def test_what_is_drawn_here_is_every_field() -> None:
    """A field that is added to a row belongs into the strategies above."""
    assert len(fields(Row)) == 30
    assert len(fields(LearningRow)) == 19
