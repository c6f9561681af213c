"""The counter of boards on a fake NVML."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from hw.meters import CounterError, Missing, open_meter


class NVMLError(Exception):
    """As the library has it."""


class FakeNvml(SimpleNamespace):
    """One board "abc"; `millijoules` are its readings in turn."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_DEVICE_MIG_ENABLE = 1, 2, 1

    def __init__(self, *millijoules: int, mig: int = 0) -> None:
        super().__init__(readings=list(millijoules), mig=mig, slices={})

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid not in {"GPU-abc": "board", **self.slices}:
            raise NVMLError("Not Found")
        return {"GPU-abc": "board", **self.slices}[uuid]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, slice_: str) -> str:  # noqa: N802
        return {"slice": "board"}[slice_]

    def nvmlDeviceGetMigMode(self, handle: str) -> tuple[int, int]:  # noqa: N802
        assert handle == "board"
        return self.mig, 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        assert handle == "board"
        if not self.readings:
            raise NVMLError("Not Supported")
        return self.readings.pop(0)

    def nvmlDeviceGetName(self, handle: str) -> str:  # noqa: N802
        return {"board": "Board X"}[handle]

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "1.2"

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        assert handle == "board"
        return {1: 1500, 2: 3000}[kind]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """Makes a fake NVML, and a torch that counts one device of this UUID, those that are imported."""

    def put(nvml: FakeNvml, uuid: str = "abc") -> None:
        cuda = SimpleNamespace(device_count=lambda: 1, get_device_properties=lambda _index: SimpleNamespace(uuid=uuid))
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
        monkeypatch.setitem(sys.modules, "pynvml", nvml)

    return put


def test_a_board_is_found_by_uuid_and_tells_itself(install) -> None:
    install(FakeNvml(1_000, 2_500, 4_000))
    meter = open_meter("cuda:0")
    assert not isinstance(meter, Missing)
    assert (meter.read(), meter.read()) == (2.5, 4.0)  # opening has read once, to see whether it can be
    assert meter.name == "nvml board energy"
    assert meter.device == "Board X, driver 1.2"
    assert meter.clocks_hz() == {"sm": 1.5e9, "memory": 3e9}


def test_a_board_that_is_shared_says_so(install) -> None:
    install(FakeNvml(1_000, mig=1))
    meter = open_meter("cuda")
    assert not isinstance(meter, Missing)
    assert "shared by MIG slices" in meter.name
    sliced = FakeNvml(1_000)
    sliced.slices = {"MIG-abc-1": "slice"}
    install(sliced, "abc-1")
    meter = open_meter("cuda")
    assert not isinstance(meter, Missing)
    assert "shared by MIG slices" in meter.name


def test_a_counter_that_goes_backwards_or_fails_is_named(install) -> None:
    install(FakeNvml(1_000, 900))
    meter = open_meter("cuda")
    assert not isinstance(meter, Missing)
    with pytest.raises(CounterError, match=r"nvml board energy went backwards, from 1.0 J to 0.9 J"):
        meter.read()
    with pytest.raises(CounterError, match="nvml board energy cannot be read: Not Supported"):
        meter.read()


def test_why_there_is_no_counter_is_told(install, monkeypatch: pytest.MonkeyPatch) -> None:
    def reason(device: str = "cuda") -> str:
        meter = open_meter(device)
        assert isinstance(meter, Missing)
        return meter.reason

    install(FakeNvml())
    assert "cannot be read: Not Supported" in reason()
    assert "cuda:1 is none of the 1 devices" in reason("cuda:1")
    install(FakeNvml(1), "other")
    assert "Not Found" in reason()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install 'ep-hardware[gpu]'" in reason()
