"""`python -m bench.speed NAME`: how fast, measured here and now, all cases in one run; `NAME --help` lists its options.

Prints a table and, as the last line, {"name": NAME, "seconds": {case: ...}, "ratios": {case: ...}, "others": {...},
"unit": ..., "environment": {...}}. A case is the fastest of several repetitions, interleaved so that a busy moment of
the computer does not fall on one case alone.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from bench.records.environment import environment
from bench.speed.aihwkit_read import aihwkit_read
from bench.speed.engine import speed_settle, speed_train
from bench.speed.learning import speed_learning
from bench.speed.timing import Speed, fastest
from hw.crossbar.devices.presets import preset
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.tile import Tile
from hw.crossbar.tiles.wires import preset_wires
from hw.lava.messages import Job
from hw.lava.process import ROOT
from hw.machine import Machine
from mapping.circuit import circuit_of
from mapping.machines import to_crossbar, to_digital, to_lava
from mapping.quantization import quantize
from models.data import load_data
from models.ep.network import EPNetwork
from models.zoo import load_model

READ_REPEATS = 60
"""Of a read, which takes milliseconds."""


def speed_lava(batch: int = 256, steps: int = 40, stock_images: int = 8) -> Speed:
    """Settling digits on Lava beside torch on the same work, and beside stock Lava processes.

    seconds: per image and step at this batch size; `stock_lava` one image at a time. Ratios over torch are of time per
    image and step; `stock_lava_over_lava` of time per image, stock `Dense` processes over our float graph.
    """
    network, data = load_model("digits"), load_data("digits")
    program = quantize(network, data.train.first(batch).floats(), steps=steps)
    images = data.train.first(batch).floats().numpy()
    with ExitStack() as stack:
        machines: dict[str, Machine] = {
            "torch": stack.enter_context(to_digital(network, steps=steps, batch_size=batch)),
            "lava_float": stack.enter_context(to_lava(network, steps=steps, batch_size=batch)),
            "lava_fixed": stack.enter_context(to_lava(program, steps=steps, batch_size=batch)),
            "lava_delta": stack.enter_context(to_lava(program, steps=steps, batch_size=batch, delta_threshold=1)),
        }
        # several batches a call, as in use: a Lava run pays its start and its first, empty steps once
        work = np.concatenate([images] * 2)
        seconds = fastest({name: partial(machine.settle, work) for name, machine in machines.items()})
    per_step = {name: value / (len(work) * steps) for name, value in seconds.items()}
    stock = _stock_lava(network, images[:stock_images], steps)
    per_step["stock_lava"] = stock / steps
    ratios = {f"{name}_over_torch": per_step[name] / per_step["torch"] for name in machines if name != "torch"}
    ratios["stock_lava_over_lava"] = per_step["stock_lava"] / per_step["lava_float"]
    return Speed(per_step, "per image and step", ratios)


def speed_crossbar(size: int = 512, batch: int = 128, images: int = 256, steps: int = 40) -> Speed:
    """A tile read beside the bare matrix product, and settling digits on tiles beside settling them in float.

    One thread. The tile is size x size pairs of the default device after an hour: 8-bit DAC, fresh noise, wires folded,
    8-bit ADC. seconds: per read of `batch` vectors, and per settle of `images`. aihwkit, where it is installed (see
    `bench.speed.aihwkit_read`), does the same read in its C++ tile with PCM read noise.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
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
            seconds = fastest(reads, repeats=READ_REPEATS)
        network, data = load_model("digits"), load_data("digits")
        work = data.train.first(images).floats().numpy()
        digital = to_digital(network, steps=steps, batch_size=images)
        crossbar = to_crossbar(network, device, Design(wires=wires), steps=steps, batch_size=images)
        crossbar.age(3600.0)
        crossbar.calibrate(work[:64])
        seconds |= fastest({"float": lambda: digital.settle(work), "crossbar": lambda: crossbar.settle(work)})
    finally:
        torch.set_num_threads(threads)
    ratios = {
        "tile_over_matmul": seconds["tile"] / seconds["matmul"],
        "tile_transposed_over_matmul": seconds["tile_transposed"] / seconds["matmul"],
        "crossbar_over_float": seconds["crossbar"] / seconds["float"],
    }
    if "aihwkit" in seconds:
        ratios["aihwkit_over_tile"] = seconds["aihwkit"] / seconds["tile"]
    return Speed(seconds, f"per read of {batch} vectors, or settle of {images} images", ratios)


SPEEDS: dict[str, Callable[[], Speed]] = {
    "lava": speed_lava,
    "crossbar": speed_crossbar,
    "learning": speed_learning,
    "settle": speed_settle,
    "train": speed_train,
}


def main() -> None:
    """Command line; exit code 2 for a name that is not measured here or an option it does not have."""
    name, options = "".join(sys.argv[1:2]), sys.argv[2:]
    if name not in SPEEDS or (options and not options[0].startswith("-")):
        given = " ".join(sys.argv[1:]) or "nothing"
        print(f"error: {given!r} cannot be timed, choices are {', '.join(SPEEDS)}", file=sys.stderr)
        raise SystemExit(2)
    try:
        speed = tyro.cli(SPEEDS[name], args=options, prog=f"python -m bench.speed {name}")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    table = Table("case", f"seconds {speed.unit}", title=f"speed of {name}", title_justify="left")
    for case, value in speed.seconds.items():
        table.add_row(case, f"{value:.3g}")
    for case, value in speed.ratios.items():
        table.add_row(case, f"{value:.2f} x")
    for case, other in speed.others.items():
        table.add_row(case, "-" if other is None else f"{other:.4g}")
    Console().print(table)
    found = {"name": name, "seconds": speed.seconds, "ratios": speed.ratios, "others": speed.others}
    print(json.dumps({**found, "unit": speed.unit, "environment": environment(speed.device)}))


def _stock_lava(network: EPNetwork, images: NDArray[np.float32], steps: int) -> float:
    """Seconds per image of stock Lava processes; raises if they do not compute the same network."""
    job = Job(circuit_of(network), steps, 1, None, None, trace=False, stall_s=60.0, process_models={})
    with tempfile.TemporaryDirectory() as folder:
        file, pixels = Path(folder, "job.pickle"), Path(folder, "images.npy")
        file.write_bytes(pickle.dumps(job))
        np.save(pixels, images)
        done = subprocess.run(
            [sys.executable, "-m", "bench.speed.stock_lava", str(file), str(pixels)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"stock Lava failed: {done.stderr[-2000:]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    with to_digital(network, steps=steps) as digital:
        expected = digital.settle(images).logits
    worst = float(np.abs(np.array(result["logits"]) - expected).max())
    if worst > 1e-3:
        raise RuntimeError(f"stock Lava computes another network: logits differ by {worst:g}")
    return float(result["seconds_per_image"])


if __name__ == "__main__":
    main()
