"""How fast tiles are read: `python -m bench.speed crossbar`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bench.evaluate import one_thread_each
from bench.speed.aihwkit_read import aihwkit_read
from bench.speed.timing import Speed, check_counts, fastest
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.tile import Tile
from hw.crossbar.tiles.wires import preset_wires
from mapping.machines import to_crossbar, to_digital
from models.data import load_data
from models.zoo import load_model

READ_REPEATS = 60
"""Of a read, which takes milliseconds."""


def speed_crossbar(size: int = 512, batch: int = 128, images: int = 256, steps: int = 40) -> Speed:
    """A tile read beside the bare matrix product, and settling digits on tiles beside settling them in float.

    One thread. The tile is size x size pairs of the default device after an hour: 8-bit DAC, fresh noise, wires folded,
    8-bit ADC. seconds: per read of `batch` vectors, and per settle of `images`. aihwkit, where it is installed (see
    `bench.speed.aihwkit_read`), does the same read in its C++ tile with PCM read noise.
    """
    check_counts(size=size, batch=batch, images=images, steps=steps)
    with one_thread_each():
        rng = np.random.default_rng(0)
        weight = rng.normal(0, 0.25, (size, size)).clip(-1, 1)
        x = torch.as_tensor(rng.random((size, batch)), dtype=torch.float32)
        device, wires = preset("pcm-nandakumar-2019"), preset_wires("aihwkit")
        # how the wires were solved, which may take longer, does not change what a read does
        folded = replace(wires, method="closed_form")
        tile = Tile(weight, 1.0, Design(rows=size, columns=2 * size, wires=folded), device)
        tile.age(3600.0)
        tile.calibrate(x)
        plain = torch.as_tensor(weight, dtype=torch.float32)
        reads: dict[str, Callable[[], object]] = {
            "matmul": lambda: plain @ x,
            "tile": lambda: tile @ x,
            "tile_transposed": lambda: tile.T @ x,
        }
        theirs = aihwkit_read(weight, x)
        if theirs is not None:
            reads["aihwkit"] = theirs
        with threadpool_limits(1):  # aihwkit brings threads of its own
            seconds = fastest(reads, repeats=READ_REPEATS, clock="processor")
        network, data = load_model("digits"), load_data("digits")
        work = data.train.first(images).floats().numpy()
        digital = to_digital(network, steps=steps, batch_size=images)
        crossbar = to_crossbar(network, Fabrication(device, Design(wires=wires)), steps=steps, batch_size=images)
        crossbar.age(3600.0)
        crossbar.calibrate(work[:64])
        seconds |= fastest(
            {"float": lambda: digital.settle(work), "crossbar": lambda: crossbar.settle(work)}, clock="processor"
        )
    ratios = {
        "tile_over_matmul": seconds["tile"] / seconds["matmul"],
        "tile_transposed_over_matmul": seconds["tile_transposed"] / seconds["matmul"],
        "crossbar_over_float": seconds["crossbar"] / seconds["float"],
    }
    if "aihwkit" in seconds:
        ratios["aihwkit_over_tile"] = seconds["aihwkit"] / seconds["tile"]
    return Speed(seconds, f"per read of {batch} vectors, or settle of {images} images", ratios, clock="processor")
