"""The formats there are. A new one is a class in a file or folder here, and an entry."""

from __future__ import annotations

from mapping.export.c.format import CFormat
from mapping.export.crossbar.format import CrossbarFormat
from mapping.export.format import Format
from mapping.export.loihi.format import LoihiFormat
from mapping.export.nir.format import NirFormat
from mapping.export.onnx.format import OnnxFormat
from mapping.export.program import ProgramFormat
from mapping.export.resistive import ResistiveFormat

_KINDS: tuple[type[Format], ...] = (
    ProgramFormat,
    CrossbarFormat,
    ResistiveFormat,
    LoihiFormat,
    CFormat,
    NirFormat,
    OnnxFormat,
)
FORMATS: dict[str, type[Format]] = {kind.name: kind for kind in _KINDS}
