"""A call ends when the device has done what it was given, not when it was asked to."""

from __future__ import annotations

import time

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
