"""A call ends when the device has done what it was given, not when it was asked to."""

from __future__ import annotations

import time

import pytest
import torch

from bench.speed.timing import fastest


def test_a_call_on_cuda_takes_until_the_device_has_finished(monkeypatch):
    events = []

    def synchronize(device):
        events.append(device)
        time.sleep(0.02)

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    seconds = fastest({"a": lambda: events.append("a"), "b": lambda: events.append("b")}, repeats=2, device="cuda:1")
    assert events == ["a", "b", "cuda:1"] + ["a", "cuda:1", "b", "cuda:1"] * 2
    assert all(value >= 0.02 for value in seconds.values())
    events.clear()
    assert fastest({"a": lambda: events.append("a")}, repeats=3)["a"] < 0.02
    assert events == ["a"] * 4


def test_processor_time_does_not_count_what_others_do_meanwhile():
    def busy() -> None:
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass

    waiting = {"sleep": lambda: time.sleep(0.05), "work": busy}
    seconds = fastest(waiting, repeats=2, clock="processor")
    assert seconds["sleep"] < 0.02 <= seconds["work"]
    assert fastest(waiting, repeats=2)["sleep"] >= 0.05


def test_processor_time_of_a_gpu_is_refused():
    with pytest.raises(ValueError, match="does not see what cuda:0 does"):
        fastest({"a": lambda: None}, device="cuda:0", clock="processor")
