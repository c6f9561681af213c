"""Every constant is cited and in SI units."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from math import floor, isclose, log10
from pathlib import Path
from typing import get_args

import pytest

from hw.cost.constants import TABLE, UNITS, Constant, Kind
from hw.cost.cost import Range

EVERY = [
    pytest.param(constant, id=f"{group}-{name}") for group, names in TABLE.items() for name, constant in names.items()
]


@pytest.mark.parametrize("constant", EVERY)
def test_constant_has_source_and_si_unit(constant: Constant) -> None:
    assert len(constant.source) > 20
    assert constant.node
    assert constant.unit in UNITS
    assert constant.kind in get_args(Kind)
    assert 0 <= constant.low <= constant.nominal <= constant.high


@pytest.mark.parametrize("group", TABLE)
def test_unit_fits_name_and_size(group: str) -> None:
    # A figure left in pJ, ns or GB/s would be off by orders of magnitude.
    sizes = {
        "J": (0.0, 1e-7) if group != "pilotnet" else (1e-4, 1e-1),
        "s": (1e-12, 1e-5) if group != "pilotnet" else (1e-5, 1e-3),
        "W": (0.01, 1000),
        "V": (0.01, 5),
        "F": (1e-19, 1e-12),
        "K": (250, 400),
        "J/K": (1e-23, 2e-23),
        "C": (1e-19, 2e-19),
        "B": (2**16, 2**20),
        "F/m": (1e-11, 1e-9),
        "m": (1e-8, 1e-5),
        "op/s": (1e12, 1e16),
        "op/J": (1e11, 1e15),
        "B/s": (1e9, 1e13),
    }
    for name, constant in TABLE[group].items():
        if name.endswith("_energy"):
            assert constant.unit == "J", name
        if name.endswith("_time"):
            assert constant.unit == "s", name
        if name.endswith("_capacitance"):
            assert constant.unit in ("F", "F/m"), name
        low, high = sizes.get(constant.unit, (1, 1e4))
        assert low <= constant.nominal <= high, name


def test_sums_of_horowitz() -> None:
    table = TABLE["horowitz2014"]
    assert table["mac_fp32_energy"].nominal == pytest.approx(3.7e-12 + 0.9e-12)
    assert table["mac_fp16_energy"].nominal == pytest.approx(1.1e-12 + 0.4e-12)
    assert table["mac_int8_add32_energy"].nominal == pytest.approx(0.2e-12 + 0.1e-12)
    assert table["mac_int8_add8_energy"].nominal == pytest.approx(0.2e-12 + 0.03e-12)
    assert table["sram_8kb_32bit_energy"].nominal * 2 == pytest.approx(table["sram_8kb_64bit_energy"].nominal)


def test_range_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="not a range"):
        Range(2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="not a range"):
        Range(0.0, float("nan"), 1.0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("unit", "pJ", "unit 'pJ' is none of J, s"),
        ("unit", "", "unit '' is none of"),
        ("kind", "guessed", "kind 'guessed' is none of measured"),
        ("source", " ", "source ' ' says too little"),
        ("node", "", "node is empty"),
        ("bounds", (2e-12, 3e-12), "low 2e-12, nominal 1e-12, high 3e-12 are not in this order"),
        ("nominal", -1.0, "low -1.0, nominal -1.0"),
        ("bounds", (0.0, float("inf")), "are not in this order from 0"),
    ],
)
def test_a_constant_that_cannot_be_defended_is_refused(field: str, value: object, words: str) -> None:
    whole = Constant(1e-12, "J", "45 nm", "Horowitz, ISSCC 2014", "simulated")
    assert (whole.low, whole.high) == (1e-12, 1e-12)
    with pytest.raises(ValueError, match=words):
        replace(whole, **{field: value})


ROOT = Path(__file__).parents[3]
CITED = ("hw/cost/constants", "hw/crossbar/devices")
"""Tables with a source per line: of costs, and of how devices behave."""
ARITHMETIC = {0.0, 0.5, 1.0, 2.0}


def floats(path: Path) -> Iterator[tuple[str, float]]:
    """(place, value) of every number with a point in a file, but the sizes of figures."""
    tree = ast.parse(path.read_text())
    inches = {
        id(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "new_figure"
        for argument in ast.walk(call)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and id(node) not in inches:
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}", node.value


def test_cost_models_hold_no_number_of_their_own() -> None:
    files = [*(ROOT / "hw/cost").glob("*.py"), *(ROOT / "mapping/placement").glob("*.py")]
    assert len(files) > 5
    wrong = [place for path in files for place, value in floats(path) if value not in ARITHMETIC]
    assert not wrong, "\n".join(wrong)


def digits(value: float) -> float:
    """Significant digits in [1, 1000), whatever the SI prefix."""
    return value / 1000.0 ** floor(log10(value) / 3 + 1e-12)


def test_no_number_of_the_table_is_written_anywhere_else() -> None:
    # Two digits meet by chance; three that agree with a constant, in whatever prefix, are looked at.
    published = {
        digits(figure): f"{group}.{name}"
        for group, names in TABLE.items()
        for name, constant in names.items()
        for figure in (constant.low, constant.nominal, constant.high)
        if figure > 0 and not isclose(digits(figure), float(f"{digits(figure):.2g}"), rel_tol=1e-9)
    }
    wrong = [
        f"{place} is {name}"
        for folder in ("hw", "mapping", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if not path.relative_to(ROOT).as_posix().startswith(CITED)
        for place, value in floats(path)
        if value > 0
        for figure, name in published.items()
        if isclose(digits(value), figure, rel_tol=1e-9)
    ]
    assert not wrong, "\n".join(wrong)
