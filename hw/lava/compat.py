"""Import this before Lava: makes lava-nc 0.10.0 importable on Python 3.11 and 3.12.

Since 3.11 a dataclass refuses a class-level default whose class has no hash, and `lava.magma.compiler.var_model` uses
plain dataclass instances as defaults. That one module is imported with dataclasses that keep a hash.
"""

import dataclasses
from typing import Any

_dataclass = dataclasses.dataclass


def _hashable(cls: Any = None, /, **options: Any) -> Any:
    options.setdefault("unsafe_hash", True)
    return _dataclass(**options) if cls is None else _dataclass(**options)(cls)


dataclasses.dataclass = _hashable
try:
    import lava.magma.compiler.var_model  # noqa: F401
finally:
    dataclasses.dataclass = _dataclass
