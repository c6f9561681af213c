"""Import this before Lava: makes lava-nc 0.10.0 importable on Python 3.11 and 3.12, and after other processes.

Since 3.11 a dataclass refuses a class-level default whose class has no hash, and `lava.magma.compiler.var_model` uses
plain dataclass instances as defaults. That one module is imported with dataclasses that keep a hash.

Lava asks for processes that fork, which Python grants once: whoever has started one before, also by forking, could not
import Lava any more. What is so already is not asked for again; another way than forking is refused as ever.
"""

import dataclasses
import multiprocessing
from typing import Any

_dataclass = dataclasses.dataclass
_start_by = multiprocessing.set_start_method


def _hashable(cls: Any = None, /, **options: Any) -> Any:
    options.setdefault("unsafe_hash", True)
    return _dataclass(**options) if cls is None else _dataclass(**options)(cls)


def _start_as_before(method: str | None, force: bool = False) -> None:
    if multiprocessing.get_start_method(allow_none=True) != method:
        _start_by(method, force)


dataclasses.dataclass = _hashable
multiprocessing.set_start_method = _start_as_before
try:
    import lava.magma.compiler.var_model
    import lava.magma.runtime.message_infrastructure.multiprocessing  # noqa: F401
finally:
    dataclasses.dataclass = _dataclass
    multiprocessing.set_start_method = _start_by
