"""The contract of `python -m bench.speed`; figures are measured there and never asserted here."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from bench.speed import __main__ as speed
from bench.speed import engine as engine_speed
from bench.speed.aihwkit_read import aihwkit_read
from models.ep.gradient import Phases
from models.fast.gradient import engine_gradient


def test_unknown_name_exits_2_and_lists_the_choices(monkeypatch, capsys):
    for arguments in ([], ["warp"], ["lava", "again"]):
        monkeypatch.setattr(sys, "argv", ["bench.speed", *arguments])
        with pytest.raises(SystemExit) as stopped:
            speed.main()
        assert stopped.value.code == 2
        assert "choices are lava" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lava", "--again", "1"], "--again"),
        (["settle", "--seed-network", "nowhere.safetensors"], "nowhere.safetensors"),
        (["train", "--data-dir", "nowhere"], "nowhere"),
        (["settle", "--device", "tpu"], "--device is 'tpu', choose from cpu"),
        (["train", "--device", "cuda:99"], "cuda:99"),
    ],
)
def test_a_bad_option_exits_2_and_names_what_is_wrong(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["bench.speed", *arguments])
    with pytest.raises(SystemExit) as stopped:
        speed.main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_lava_is_timed_beside_torch_and_stock_lava(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.speed", "lava"])
    speed.main()
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert document["name"] == "lava"
    assert set(document["seconds"]) == {"torch", "lava_float", "lava_fixed", "lava_delta", "stock_lava"}
    seconds, ratios = document["seconds"], document["ratios"]
    for case in ("lava_float", "lava_fixed", "lava_delta"):
        assert ratios[f"{case}_over_torch"] == pytest.approx(seconds[case] / seconds["torch"])
    assert ratios["stock_lava_over_lava"] == pytest.approx(seconds["stock_lava"] / seconds["lava_float"])


@pytest.mark.slow
def test_tiles_are_timed_beside_a_product_and_where_installed_aihwkit(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.speed", "crossbar"])
    speed.main()
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    seconds, ratios = document["seconds"], document["ratios"]
    cases = {"matmul", "tile", "tile_transposed", "float", "crossbar"}
    if find_spec("aihwkit") is not None:
        cases.add("aihwkit")
    assert set(seconds) == cases
    assert ratios["tile_over_matmul"] == pytest.approx(seconds["tile"] / seconds["matmul"])
    assert ratios["crossbar_over_float"] == pytest.approx(seconds["crossbar"] / seconds["float"])
    assert ("aihwkit_over_tile" in ratios) == ("aihwkit" in cases)


def test_the_engine_is_timed_beside_plain_steps_and_computes_the_same(monkeypatch):
    monkeypatch.setattr(engine_speed, "PLAIN", Phases(30, 10, schedule="synchronous"))
    settled = engine_speed.speed_settle(images=3, batch=2)
    assert settled.ratios["plain_over_settle"] == pytest.approx(settled.seconds["plain"] / settled.seconds["engine"])
    assert settled.others["agreement"] == 1.0
    assert settled.others["images_per_s"] == pytest.approx(1 / settled.seconds["engine"])
    # on the seed network's way up, 6 odd-even sweeps are worth at least 3 of all of its 4 links (0.48 GMAC)
    assert settled.others["gigaflop"] > 2 * 0.48
    assert settled.others["utilisation"] is None
    # what is compiled is the engine's gradient: tests/models/fast/test_compiled.py
    monkeypatch.setattr(engine_speed, "check_compiler", lambda: None)
    monkeypatch.setattr(engine_speed, "compiled_gradient", engine_gradient)
    trained = engine_speed.speed_train(batch=2, compiled=True)
    for name, suffix in (("seed-cifar10", ""), ("hw-cifar10-small", "_small")):
        seconds = trained.seconds[f"plain {name}"], trained.seconds[f"engine {name}"]
        assert trained.ratios[f"plain_over_train{suffix}"] == pytest.approx(seconds[0] / seconds[1])
        assert trained.ratios[f"engine_over_compiled{suffix}"] == pytest.approx(
            seconds[1] / trained.seconds[f"compiled {name}"]
        )
        assert trained.others[f"images_per_s{suffix}"] == pytest.approx(1 / seconds[1])
        assert trained.others[f"utilisation{suffix}"] is None
    assert trained.others["cosine_small"] > 0.95
    assert trained.others["cosine"] > 0.85


def test_aihwkit_reads_the_same_product_where_it_is_installed():
    rng = np.random.default_rng(0)
    weight, x = rng.uniform(-1, 1, (30, 40)), torch.as_tensor(rng.random((40, 200)), dtype=torch.float32)
    read = aihwkit_read(weight, x)
    if find_spec("aihwkit") is None:
        assert read is None
        return
    expected = weight @ x.numpy()
    assert np.abs(read().T.numpy() - expected).mean() < 0.1 * np.abs(expected).mean()


@pytest.mark.slow
def test_brian_is_timed_beside_torch(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.speed", "brian", "--batch", "8", "--steps", "20", "--synapse-images", "1"])
    speed.main()
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    cases = {"brian_rate", "brian_spikes", "brian_rate_synapses", "brian_spikes_synapses"}
    assert set(document["seconds"]) == {"torch", *cases}
    assert set(document["ratios"]) == {f"{case}_over_torch" for case in cases}
    assert document["clock"] == "processor"
    assert document["others"]["events_per_second"] > document["others"]["spikes_per_second"] > 0
