"""What is exported: a trained network, and the integers of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from mapping.export.options import Calibration
from mapping.program import Program, is_program
from mapping.quantization import quantize
from models.data import load_data
from models.ep.links import pools_by_maxima
from models.ep.network import EPNetwork
from models.files.checkpoint import SUFFIX
from models.zoo import load_model, zoo_names
from models.zoo.manifests import checkpoint_of, fingerprint, trained_on


@dataclass(frozen=True)
class Source:
    """A network with the calibration that makes a program of it, or a program alone."""

    model: str
    """Name in the zoo, or file."""
    held: EPNetwork | Program
    calibration: Calibration

    @property
    def network(self) -> EPNetwork:
        """The floating-point network; ValueError if the model is a program, which has none."""
        if isinstance(self.held, Program):
            raise ValueError(
                f"{self.model} is a program of integers: give the checkpoint of the network it was made of"
            )
        return self.held

    @cached_property
    def program(self) -> Program:
        """The integers: of the file, or quantized by the first training images, as `bench.run` does."""
        if isinstance(self.held, Program):
            return self.held
        asked = self.calibration
        return quantize(self.held, self.images(asked.images), state_bits=asked.state_bits, steps=asked.steps)

    def images(self, count: int) -> Tensor:
        """(count, C, H, W) the first training images, of all the data there are at most."""
        asked = self.calibration
        return load_data(asked.data or trained_on(self.model), asked.data_dir).train.at_most(count).floats()

    def described(self) -> dict[str, Any]:
        """Model, digest and, once integers were made, how: of JSON types."""
        made = "program" in self.__dict__ and isinstance(self.held, EPNetwork)
        return {
            "model": self.model,
            "model_sha256": fingerprint(self.model),
            "calibration": self.calibration.described() if made else None,
        }


def read_source(model: str, calibration: Calibration) -> Source:
    """A network of the zoo, a checkpoint of one, or a program, which is told by what the file says it is.

    Raises:
        ValueError: neither of them; the message names the file or the choices.
    """
    path = checkpoint_of(model)
    if model not in zoo_names():
        if not path.is_file():
            raise ValueError(f"model {model!r} is neither in the zoo ({', '.join(zoo_names())}) nor a {SUFFIX} file")
        if path.suffix != SUFFIX:
            raise ValueError(f"model {model!r} is a file that does not end in {SUFFIX}")
        if is_program(path):
            program = Program.load(path)
            if not program.feedback:
                raise ValueError(f"model {model!r} has no feedback: exported files hold links of both directions")
            return Source(model, program, calibration)
    return Source(model, load_model(model), calibration)


def no_integers(source: Source) -> str | None:
    """The obstacle to every format of integers: what a program cannot hold of the network."""
    return no_chain(source) or no_sums(source)


def no_chain(source: Source) -> str | None:
    """The obstacle to formats that hold a chain of layers only."""
    if isinstance(source.held, Program) or not source.held.skips:
        return None
    skip = source.held.skips[0]
    return f"skip1 joins layer {skip.source} to layer {skip.target}, past those between: it holds chains of layers only"


def no_sums(source: Source) -> str | None:
    """The obstacle to formats whose links are linear maps."""
    if isinstance(source.held, Program):
        return None
    for index, link in enumerate(source.held.links, start=1):
        if pools_by_maxima(link):
            return f"link{index} ({link!r}) takes maxima, it holds pooling by 'average' and 'none' only"
    return None


def no_floats(source: Source) -> str | None:
    """The obstacle to formats of floating point."""
    if isinstance(source.held, Program):
        return f"{source.model} is a program of integers, it holds floating point: give the network's checkpoint"
    return None


def model_name(model: str) -> str:
    """The name a network is known by: that of the zoo, or of its file."""
    return Path(model).stem
