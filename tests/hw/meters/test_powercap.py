"""The counter of processor packages on a fake powercap tree; no counter may ever read as zero joules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw.meters import CounterError, Meter, Missing, open_meter
from hw.meters.powercap import open_powercap

RANGE_UJ = 1_000_000


def write_domain(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    domain = root / folder
    domain.mkdir(exist_ok=True)
    for file, value in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", RANGE_UJ)):
        (domain / file).write_text(f"{value}\n", encoding="utf-8")
    return domain


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two sockets with memory, and the domains that overlap them."""
    write_domain(tmp_path, "intel-rapl:0", "package-0", 100_000)
    write_domain(tmp_path, "intel-rapl:0:0", "core", 50_000)
    write_domain(tmp_path, "intel-rapl:0:1", "uncore", 10_000)
    write_domain(tmp_path, "intel-rapl:0:2", "dram", 20_000)
    write_domain(tmp_path, "intel-rapl:1", "package-1", 300_000)
    write_domain(tmp_path, "intel-rapl:2", "psys", 500_000)
    write_domain(tmp_path, "intel-rapl-mmio:0", "package-0", 100_000)
    return tmp_path


def add(root: Path, folder: str, microjoules: int) -> None:
    counter = root / folder / "energy_uj"
    # a counter that has reached its range starts again at 0, which is one more than the range
    value = (int(counter.read_text(encoding="utf-8")) + microjoules) % RANGE_UJ
    counter.write_text(f"{value}\n", encoding="utf-8")


def opened(root: Path) -> Meter:
    meter = open_powercap(root, root / "no clocks")
    assert not isinstance(meter, Missing)
    return meter


def test_packages_and_their_memory_are_added_and_nothing_that_they_hold(powercap: Path) -> None:
    meter = opened(powercap)
    assert meter.name == "powercap dram + package of 2 packages"
    assert meter.device == "package-0, dram, package-1"
    start = meter.read()
    for folder in (
        "intel-rapl:0",
        "intel-rapl:0:0",
        "intel-rapl:0:1",
        "intel-rapl:0:2",
        "intel-rapl:1",
        "intel-rapl:2",
    ):
        add(powercap, folder, 3_000)
    add(powercap, "intel-rapl-mmio:0", 3_000)
    assert meter.read() == pytest.approx(start + 9_000e-6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, RANGE_UJ // 2), st.integers(0, RANGE_UJ // 2)), min_size=1, max_size=8))
def test_joules_add_up_through_any_number_of_overflows(powercap: Path, moves: list[tuple[int, int]]) -> None:
    meter = opened(powercap)
    start = meter.read()
    for first, second in moves:
        add(powercap, "intel-rapl:0", first)
        add(powercap, "intel-rapl:1", second)
        end = meter.read()
    assert end - start == pytest.approx(sum(map(sum, moves)) * 1e-6)


def test_a_counter_that_goes_backwards_is_named(powercap: Path) -> None:
    """By a little: no overflow, which would be nearly a whole range since the reading before."""
    meter = opened(powercap)
    meter.read()
    add(powercap, "intel-rapl:1", -1)
    with pytest.raises(CounterError, match=r"intel-rapl:1/energy_uj went backwards, from 300000 to 299999 of"):
        meter.read()


def test_a_counter_that_fails_later_is_named(powercap: Path) -> None:
    meter = opened(powercap)
    meter.read()
    # a folder in its place fails for root as well, whom file modes do not stop
    (powercap / "intel-rapl:0:2" / "energy_uj").unlink()
    (powercap / "intel-rapl:0:2" / "energy_uj").mkdir()
    with pytest.raises(
        CounterError, match=r"powercap dram \+ package of 2 packages: .*intel-rapl:0:2/energy_uj cannot"
    ):
        meter.read()
    missing = open_powercap(powercap)
    assert isinstance(missing, Missing)
    assert "intel-rapl:0:2/energy_uj cannot be read" in missing.reason


@pytest.mark.parametrize(("value", "says"), [("", "cannot be read"), ("-5", "is -5"), ("1000001", "is 1000001")])
def test_a_counter_that_says_what_cannot_be_is_named(powercap: Path, value: str, says: str) -> None:
    (powercap / "intel-rapl:0" / "energy_uj").write_text(value, encoding="utf-8")
    with pytest.raises(CounterError, match=f"intel-rapl:0/energy_uj {says}"):
        opened(powercap).read()


def test_where_there_is_none_the_reason_is_told(tmp_path: Path) -> None:
    for root, says in ((tmp_path / "missing", "has no powercap"), (tmp_path, "no package that is counted")):
        missing = open_powercap(root)
        assert isinstance(missing, Missing)
        assert says in missing.reason
    other = open_meter("mps")
    assert isinstance(other, Missing)
    assert "'mps' has no counter" in other.reason


def test_clocks_are_the_mean_of_all_processors(powercap: Path, tmp_path: Path) -> None:
    for index, kilohertz in enumerate((2_000_000, 3_000_000)):
        folder = tmp_path / "cpus" / f"cpu{index}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{kilohertz}\n", encoding="utf-8")
    meter = open_powercap(powercap, tmp_path / "cpus")
    assert not isinstance(meter, Missing)
    assert meter.clocks_hz() == {"cpu": 2.5e9}
    assert opened(powercap).clocks_hz() == {}
