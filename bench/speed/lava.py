"""How fast Lava settles: `python -m bench.speed lava`."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.speed.timing import Speed, check_counts, fastest
from hw.lava.messages import Job
from hw.lava.process import ROOT
from hw.machine import Machine
from mapping.circuit import circuit_of
from mapping.machines import to_digital, to_lava
from mapping.quantization import quantize
from models.command_line import before_work
from models.data import load_data
from models.ep.network import EPNetwork
from models.zoo import load_model


def speed_lava(batch: int = 256, steps: int = 40, stock_images: int = 8) -> Speed:
    """Settling digits on Lava beside torch on the same work, and beside stock Lava processes.

    seconds: per image and step at this batch size; `stock_lava` one image at a time. Ratios over torch are of time per
    image and step; `stock_lava_over_lava` of time per image, stock `Dense` processes over our float graph.
    """
    check_counts(batch=batch, steps=steps, stock_images=stock_images)
    network, data = load_model("digits"), load_data("digits")
    with before_work():
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
