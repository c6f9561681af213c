"""The same read on a tile of aihwkit, for comparison.

aihwkit 1.1.0 is built against torch 2.12 at the latest and fails with the torch of this project, so that it runs in an
environment of its own, which this command makes, downloading once what it needs:

    uv run --no-project --with aihwkit==1.1.0 --with torch==2.12.0 --with "numpy<2" python -m bench.aihwkit_read 512 128

From then on `python -m bench.speed crossbar` finds it and measures it in the same run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 20
PCM_READ = 0.0175
"""Scale of the PCM read noise in aihwkit's StandardHWATrainingPreset (Rasch et al. 2023, arXiv:2302.08469)."""
ENVIRONMENT = ("--with", "aihwkit==1.1.0", "--with", "torch==2.12.0", "--with", "numpy<2")
ROOT = Path(__file__).parents[1]


def aihwkit_seconds(size: int, batch: int) -> float | None:
    """Seconds of the fastest read of `batch` vectors through size x size weights; None where it is not installed."""
    command = ["uv", "run", "--offline", "--no-project", *ENVIRONMENT, "python", "-m", "bench.aihwkit_read"]
    alone = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        done = subprocess.run(
            [*command, str(size), str(batch)],
            cwd=ROOT,
            env={**alone, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def main() -> None:
    """Measure here: `python -m bench.aihwkit_read SIZE BATCH` prints {"seconds": ...}."""
    import torch
    from aihwkit.nn import AnalogLinear
    from aihwkit.simulator.configs import InferenceRPUConfig
    from aihwkit.simulator.parameters.enums import WeightNoiseType

    size, batch = (int(argument) for argument in sys.argv[1:])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = InferenceRPUConfig()
    config.mapping.max_input_size = config.mapping.max_output_size = 0  # one tile, as ours
    config.forward.inp_res = config.forward.out_res = 1 / (2**8 - 2)
    config.forward.out_noise = 0.0
    config.forward.w_noise_type = WeightNoiseType.PCM_READ
    config.forward.w_noise = PCM_READ
    layer = AnalogLinear(size, size, bias=False, rpu_config=config)
    layer.set_weights(torch.empty(size, size).normal_(0, 0.25).clamp_(-1, 1))
    layer.eval()
    x = torch.rand(batch, size)
    fastest = float("inf")
    with torch.no_grad():
        for _ in range(REPEATS):
            start = time.perf_counter()
            layer(x)
            fastest = min(fastest, time.perf_counter() - start)
    print(json.dumps({"seconds": fastest, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
