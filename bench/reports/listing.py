"""`--list`: what there is to choose from."""

from __future__ import annotations

import json

from bench.machines.crossbar_options import EVERY
from bench.machines.crossbar_updates import UPDATES
from bench.machines.registry import BACKENDS
from bench.robustness.names import DISTURBANCES
from bench.studies.options import NUDGINGS, STUDIES
from hw.crossbar.devices.presets import PRESETS
from hw.crossbar.tiles.wires import WIRES
from models.controls import control_names
from models.data import DATASETS
from models.zoo import model_names


def listing() -> str:
    """Lines for people, and a last one of JSON."""
    document = {
        "backends": {name: list(backend.precisions) for name, backend in BACKENDS.items()},
        "models": list(model_names()),
        "controls": list(control_names()),
        "data": list(DATASETS),
        "device_presets": list(PRESETS),
        "wires": list(WIRES),
        "disturbances": list(DISTURBANCES),
        "studies": list(STUDIES),
        "updates": list(UPDATES),
        "estimators": list(NUDGINGS),
    }
    lines = [f"backend {name}: precision {', '.join(backend.precisions)}" for name, backend in BACKENDS.items()]
    lines += [f"device-preset {', '.join(PRESETS)}, {EVERY}, or a FILE", f"wires {', '.join(WIRES)}"]
    lines += [f"model {', '.join(model_names())}", f"model, as a control, {', '.join(control_names())}"]
    lines += [f"data {', '.join(DATASETS)}, an .npz FILE, or a FOLDER of classes"]
    lines += [f"disturbances {', '.join(DISTURBANCES)}"]
    lines += [f"bench.learn {', '.join(STUDIES)}: update {', '.join(UPDATES)}; estimator {', '.join(NUDGINGS)}"]
    return "\n".join([*lines, json.dumps(document)])
