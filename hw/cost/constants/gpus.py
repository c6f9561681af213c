"""Peaks and power of GPU boards, as their maker publishes them."""

from __future__ import annotations

from functools import partial

from hw.cost.constants.constant import Constant

_H200 = partial(
    Constant,
    node="TSMC 4N, SXM board",
    source="Nvidia H200 data sheet, by hmc-tech.com, nanochat common.py (FP16) and geektopia.es (700 W, 4.8 TB/s)",
    kind="vendor",
)
_H100 = partial(
    Constant,
    node="TSMC 4N, SXM5 board",
    source="Nvidia H100 data sheet, by glennklockwood.com/garden/processors/h100 and archive-lib.hpctech.co.jp (dense)",
    kind="vendor",
)
_A100 = partial(
    Constant,
    node="TSMC 7 nm, SXM4 board",
    source="Nvidia A100 data sheet, by glennklockwood.com/garden/processors/A100 (dense)",
    kind="vendor",
)
_T4 = partial(
    Constant,
    node="TSMC 12 nm, PCIe card",
    source="Nvidia T4 data sheet, by sysrqmts.com/en/gpus/nvidia/tesla/t4 and geektopia.es (INT8)",
    kind="vendor",
)

GPUS = {
    "h200": {
        "tdp": _H200(700, "W"),
        "peak_fp32": _H200(66.9e12, "op/s"),
        "peak_fp16": _H200(989e12, "op/s"),
        "peak_int8": _H200(1979e12, "op/s"),
        "bandwidth": _H200(4800e9, "B/s"),
    },
    "h100-sxm": {
        "tdp": _H100(700, "W"),
        "peak_fp32": _H100(66.9e12, "op/s"),
        "peak_fp16": _H100(989.4e12, "op/s"),
        "peak_int8": _H100(1978.9e12, "op/s"),
        "bandwidth": _H100(3350e9, "B/s"),
    },
    "a100-sxm-80gb": {
        "tdp": _A100(400, "W"),
        "peak_fp32": _A100(19.5e12, "op/s"),
        "peak_fp16": _A100(312e12, "op/s"),
        "peak_int8": _A100(624e12, "op/s"),
        "bandwidth": _A100(2039e9, "B/s"),
    },
    "a100-sxm-40gb": {
        "tdp": _A100(400, "W"),
        "peak_fp32": _A100(19.5e12, "op/s"),
        "peak_fp16": _A100(312e12, "op/s"),
        "peak_int8": _A100(624e12, "op/s"),
        "bandwidth": _A100(1555e9, "B/s"),
    },
    "t4": {
        "tdp": _T4(70, "W"),
        "peak_fp32": _T4(8.14e12, "op/s"),
        "peak_fp16": _T4(65.1e12, "op/s"),
        "peak_int8": _T4(130e12, "op/s"),
        "bandwidth": _T4(320e9, "B/s"),
    },
}
"""Peaks of a whole board: `peak_fp32` outside the tensor cores, `peak_fp16` and `peak_int8` inside. Dense peaks: web
pages that give twice as much quote the 2:4 sparse ones."""
