"""Every constant is cited and in SI units."""

from __future__ import annotations

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
    assert constant.value >= 0


@pytest.mark.parametrize("group", TABLE)
def test_unit_fits_name_and_size(group: str) -> None:
    # A figure left in pJ, ns or GB/s would be off by orders of magnitude.
    sizes = {
        "J": (0.0, 1e-7),
        "s": (1e-12, 1e-5),
        "W": (0.01, 1000),
        "V": (0.1, 5),
        "F": (1e-19, 1e-12),
        "F/m": (1e-11, 1e-9),
        "m": (1e-8, 1e-5),
        "op/s": (1e12, 1e16),
        "op/J": (1e11, 1e15),
        "B/s": (1e11, 1e13),
    }
    for name, constant in TABLE[group].items():
        if name.endswith("_energy"):
            assert constant.unit == "J", name
        if name.endswith("_time"):
            assert constant.unit == "s", name
        if name.endswith("_capacitance"):
            assert constant.unit in ("F", "F/m"), name
        low, high = sizes.get(constant.unit, (1, 1000))
        assert low <= constant.value <= high, name


def test_sums_of_horowitz() -> None:
    table = TABLE["horowitz2014"]
    assert table["mac_fp32_energy"].value == pytest.approx(3.7e-12 + 0.9e-12)
    assert table["mac_fp16_energy"].value == pytest.approx(1.1e-12 + 0.4e-12)
    assert table["mac_int8_add32_energy"].value == pytest.approx(0.2e-12 + 0.1e-12)
    assert table["mac_int8_add8_energy"].value == pytest.approx(0.2e-12 + 0.03e-12)
    assert table["sram_8kb_32bit_energy"].value * 2 == pytest.approx(table["sram_8kb_64bit_energy"].value)


def test_range_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="not a range"):
        Range(2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="not a range"):
        Range(0.0, float("nan"), 1.0)
