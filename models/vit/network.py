"""A vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929), of torch's own encoder.

Images are cut into patches of P x P pixels, each a token of D numbers, E p + place; `depth` layers of attention and of
a hidden layer of 2 D units, each on normalised tokens and added to them; class scores are linear in the mean of the
normalised tokens.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, with_config
from torch import Tensor, nn
from torch.nn.functional import unfold

from models.files.checkpoint import check_against_manifest
from models.files.tensorfile import CheckpointError, check_tensors, read_tensors, write_tensors
from models.files.typed import STRICT, read_json

KEY = "ep-hardware transformer"
MOST = 2**16
"""Of any size: what is beyond is a damaged file."""


@with_config(STRICT)
@dataclass(frozen=True)
class Form:
    """Sizes of a transformer."""

    input_shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    classes: int
    patch: int = 4
    """Rows and columns of a patch; divides those of the image."""
    width: int = 96
    """D, numbers of a token; a multiple of the heads."""
    depth: int = 4
    heads: int = 3

    def __post_init__(self) -> None:
        for name in ("classes", "patch", "width", "depth", "heads"):
            if not 1 <= getattr(self, name) <= MOST:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 to {MOST}")
        if not all(1 <= size <= MOST for size in self.input_shape):
            raise ValueError(f"input_shape is {self.input_shape}, expected sizes of 1 to {MOST}")
        if self.input_shape[1] % self.patch or self.input_shape[2] % self.patch:
            raise ValueError(f"patch is {self.patch}, expected a divisor of {self.input_shape[1:]}")
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}, expected a multiple of the {self.heads} heads")


class VisionTransformer(nn.Module):
    """From images (B, C, H, W) in [0, 1] to class scores (B, K)."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        channels, rows, columns = form.input_shape
        self.embed = nn.Linear(channels * form.patch**2, form.width)
        self.place = nn.Parameter(torch.zeros(rows * columns // form.patch**2, form.width))
        layer = nn.TransformerEncoderLayer(
            form.width, form.heads, 2 * form.width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, form.depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(form.width)
        self.head = nn.Linear(form.width, form.classes)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return self.form.input_shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.form.classes

    def forward(self, images: Tensor) -> Tensor:
        """Class scores; pixels are centred, (x - 1/2) / (1/4), about zero."""
        patches = unfold((images - 0.5) * 4, self.form.patch, stride=self.form.patch).transpose(1, 2)
        scores: Tensor = self.head(self.norm(self.encoder(self.embed(patches) + self.place)).mean(dim=1))
        return scores


def drawn(form: Form, generator: torch.Generator) -> VisionTransformer:
    """A fresh one: weights of variance 1 / fan-in, places of deviation 0.02, no biases; the head begins at zero."""
    network = VisionTransformer(form)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if tensor.ndim == 2 and not name.startswith("head"):
                scale = 0.02 if name == "place" else tensor.shape[1] ** -0.5
                tensor.copy_(scale * torch.randn(tensor.shape, generator=generator))
            else:
                tensor.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    return network


def save_transformer(network: VisionTransformer, path: Path) -> None:
    """Write it to `path`, complete or not at all."""
    write_tensors(path, KEY, dict(network.state_dict()), asdict(network.form))


def load_transformer(path: Path) -> VisionTransformer:
    """Read and check what `save_transformer` wrote; parameters take no gradients.

    Raises:
        CheckpointError: missing, damaged or foreign, or not of the sha256 that the manifest beside it tells.
    """
    check_against_manifest(path)
    return restored(path, *read_tensors(path, KEY))


def restored(path: Path, tensors: dict[str, Tensor], document: dict[str, Any]) -> VisionTransformer:
    """The transformer of named tensors and a document of sizes; `CheckpointError` as of `load_transformer`."""
    try:
        form = read_json(_FORM, TypeAdapter(dict[str, Any]).dump_json(document))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    network = VisionTransformer(form)
    check_tensors(path, tensors, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    network.load_state_dict(tensors)
    return network.requires_grad_(False).eval()


_FORM = TypeAdapter(Form)
