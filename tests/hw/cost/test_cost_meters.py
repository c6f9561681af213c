"""Meters on a fake powercap tree and a fake NVML; no counter may ever read as zero joules."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from hw.cost.meters import MeasuredEnergy, NvmlMeter, measure_energy, open_meters


def write_domain(root: Path, folder: str, name: str, energy_uj: int, wrap_uj: int = 1_000_000) -> Path:
    domain = root / folder
    domain.mkdir()
    (domain / "name").write_text(f"{name}\n")
    (domain / "energy_uj").write_text(f"{energy_uj}\n")
    (domain / "max_energy_range_uj").write_text(f"{wrap_uj}\n")
    return domain


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    write_domain(tmp_path, "intel-rapl:0", "package-0", 100_000)
    write_domain(tmp_path, "intel-rapl:0:0", "core", 50_000)
    write_domain(tmp_path, "intel-rapl:0:1", "uncore", 10_000)
    write_domain(tmp_path, "intel-rapl:0:2", "dram", 20_000)
    write_domain(tmp_path, "intel-rapl:1", "psys", 500_000)
    write_domain(tmp_path, "intel-rapl-mmio:0", "package-0", 100_000)
    return tmp_path


def add(root: Path, folder: str, microjoules: int) -> None:
    counter = root / folder / "energy_uj"
    counter.write_text(f"{(int(counter.read_text()) + microjoules) % 1_000_000}\n")


def test_powercap_adds_package_and_dram_only(powercap: Path) -> None:
    meter = open_meters("cpu", powercap)
    assert meter is not None
    assert meter.name == "powercap dram + package"
    start = meter.read()
    assert start is not None
    for folder in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0:2", "intel-rapl:1"):
        add(powercap, folder, 3_000)
    add(powercap, "intel-rapl-mmio:0", 3_000)
    assert meter.read() == pytest.approx(start + 6_000e-6)


def test_powercap_wraps_around(powercap: Path) -> None:
    meter = open_meters("cpu", powercap)
    assert meter is not None
    start = meter.read()
    assert start is not None
    for _ in range(3):
        add(powercap, "intel-rapl:0", 700_000)
        end = meter.read()
    assert end == pytest.approx(start + 2.1)


def test_powercap_that_cannot_be_read_is_none(powercap: Path) -> None:
    meter = open_meters("cpu", powercap)
    assert meter is not None
    # A folder in its place fails for root as well, whom file modes do not stop.
    (powercap / "intel-rapl:0:2" / "energy_uj").unlink()
    (powercap / "intel-rapl:0:2" / "energy_uj").mkdir()
    assert meter.read() is None
    assert open_meters("cpu", powercap) is None


def test_powercap_that_reads_rubbish_is_none(powercap: Path) -> None:
    (powercap / "intel-rapl:0" / "energy_uj").write_text("")
    assert open_meters("cpu", powercap) is None


def test_no_powercap_is_none(tmp_path: Path) -> None:
    assert open_meters("cpu", tmp_path / "missing") is None
    assert open_meters("cpu", tmp_path) is None


def test_no_nvml_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    assert open_meters("cuda") is None
    assert open_meters("cuda:1") is None


def test_device_without_a_counter_is_none() -> None:
    assert open_meters("mps") is None


def test_nvml_reads_joules_and_names_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: {"board": 2_500}[handle])
    assert NvmlMeter("board", shared=False).read() == pytest.approx(2.5)
    assert "shared" not in NvmlMeter("board", shared=False).name
    assert "shared" in NvmlMeter("board", shared=True).name


def test_nvml_without_the_counter_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_handle: object) -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", unsupported)
    assert NvmlMeter("board", shared=False).read() is None


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine whose only CUDA device is the board "abc", as torch and NVML see it."""

    def find(uuid: str) -> str:
        if uuid != "GPU-abc":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "board"

    cuda = SimpleNamespace(device_count=lambda: 1, get_device_properties=lambda _index: SimpleNamespace(uuid="abc"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", find)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: {"board": 2_500}[handle])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", lambda _board: (0, 0))
    return monkeypatch


def test_cuda_device_is_found_by_uuid(one_gpu: pytest.MonkeyPatch) -> None:
    meter = open_meters("cuda:0")
    assert meter is not None
    assert meter.read() == pytest.approx(2.5)
    assert meter.name == "nvml board energy"
    assert open_meters("cuda:1") is None
    one_gpu.setattr(pynvml, "nvmlDeviceGetMigMode", lambda _board: (pynvml.NVML_DEVICE_MIG_ENABLE, 0))
    sliced = open_meters("cuda")
    assert sliced is not None
    assert "shared" in sliced.name


def test_mig_slice_reads_its_board(one_gpu: pytest.MonkeyPatch) -> None:
    def find(uuid: str) -> str:
        if uuid != "MIG-abc":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "slice"

    one_gpu.setattr(pynvml, "nvmlDeviceGetHandleByUUID", find)
    one_gpu.setattr(pynvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", {"slice": "board"}.get)
    meter = open_meters("cuda")
    assert meter is not None
    assert meter.read() == pytest.approx(2.5)
    assert "shared" in meter.name


class FakeMeter:
    """Reads a list of readings in turn."""

    name = "fake"

    def __init__(self, *readings: float | None) -> None:
        self._readings = list(readings)

    def read(self) -> float | None:
        return self._readings.pop(0)


def test_measure_divides_by_calls() -> None:
    calls: list[float] = []

    def work() -> None:
        time.sleep(0.01)
        calls.append(time.perf_counter())

    result = measure_energy(work, FakeMeter(5.0, 8.0), min_seconds=0.05)
    assert isinstance(result, MeasuredEnergy)
    assert 1 < result.calls == len(calls)
    assert result.energy_j == pytest.approx(3.0 / result.calls)
    assert result.window_s >= 0.05
    assert result.counter == "fake"


def test_measure_calls_at_least_once() -> None:
    result = measure_energy(lambda: None, FakeMeter(1.0, 2.0), min_seconds=0.0)
    assert result is not None
    assert result.calls == 1


@pytest.mark.parametrize("readings", [(None,), (1.0, None), (1.0, 1.0)])
def test_failed_counter_measures_nothing(readings: tuple[float | None, ...]) -> None:
    assert measure_energy(lambda: None, FakeMeter(*readings), min_seconds=0.0) is None


def test_no_meter_measures_nothing() -> None:
    assert measure_energy(lambda: pytest.fail("work must not run unmeasured"), None) is None
