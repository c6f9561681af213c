"""Rooflines against hand-computed figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hw.cost.constants import GPUS
from hw.cost.roofline import BOARDS, cpu_cost, gpu_cost
from hw.events.arithmetic import ArithmeticEvents
from hw.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """Two images of 1e9 multiply-accumulates and 1e6 bytes each."""
    return Ledger(2, arithmetic=ArithmeticEvents(macs=2 * 10**9, bytes_moved=2 * 10**6))


def test_gpu_busy_with_arithmetic(ledger: Ledger) -> None:
    cost = gpu_cost(ledger, "NVIDIA H200")
    assert cost is not None
    assert cost.latency_s is not None
    assert cost.latency_s.low == pytest.approx(2e9 / 1979e12)
    assert cost.latency_s.nominal == pytest.approx(2e9 / 66.9e12)
    assert cost.latency_s.high == cost.latency_s.nominal
    # 0.71 and 20.9 pJ per multiply-accumulate.
    assert cost.energy_j.low == pytest.approx(0.707e-12 * 1e9, rel=1e-3)
    assert cost.energy_j.nominal == pytest.approx(20.9e-12 * 1e9, rel=2e-3)
    assert cost.breakdown_j["memory"] == 0.0
    assert cost.profile == "roofline-h200"


def test_gpu_waiting_for_memory(ledger: Ledger) -> None:
    cost = gpu_cost(replace(ledger, arithmetic=ArithmeticEvents(2 * 10**9, 2 * 10**9)), "Tesla T4")
    assert cost is not None
    assert cost.latency_s is not None
    arithmetic, moving = 2e9 / 8.14e12, 1e9 / 320e9
    assert cost.latency_s.nominal == pytest.approx(moving)
    assert cost.breakdown_j["arithmetic"] == pytest.approx(70 * arithmetic)
    assert cost.breakdown_j["memory"] == pytest.approx(70 * (moving - arithmetic))
    assert sum(cost.breakdown_j.values()) == cost.energy_j.nominal


def test_gpu_wall_time_bounds_from_above(ledger: Ledger) -> None:
    cost = gpu_cost(ledger, "NVIDIA A100-SXM4-80GB", wall_s=0.5)
    assert cost is not None
    assert cost.latency_s is not None
    assert cost.latency_s.high == 0.5
    assert cost.energy_j.high == pytest.approx(200.0)
    faster = gpu_cost(ledger, "NVIDIA A100-SXM4-80GB", wall_s=1e-9)
    assert faster is not None
    assert faster.energy_j.high == faster.energy_j.nominal


@pytest.mark.parametrize(
    "name", ["NVIDIA GeForce RTX 4090", "NVIDIA H200 NVL", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 PCIe", ""]
)
def test_unknown_gpu_has_no_cost(ledger: Ledger, name: str) -> None:
    assert gpu_cost(ledger, name) is None


def test_every_board_has_its_peaks() -> None:
    assert set(BOARDS.values()) == set(GPUS)


def test_cpu_by_hand(ledger: Ledger) -> None:
    cost = cpu_cost(ledger)
    assert cost.energy_j.low == pytest.approx(4.6e-12 * 1e9)
    assert cost.energy_j.nominal == pytest.approx(14.6e-12 * 1e9)
    assert cost.energy_j.high == pytest.approx(8.6e-9 * 1e9)
    assert sum(cost.breakdown_j.values()) == cost.energy_j.nominal
    assert cost.latency_s is None
    assert cost.profile == "horowitz2014-45nm"


def test_a_ledger_without_arithmetic_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="the ledger has no 'arithmetic'"):
        cpu_cost(Ledger(2))
    with pytest.raises(ValueError, match="the ledger has no 'arithmetic'"):
        gpu_cost(Ledger(2), "NVIDIA H200")
