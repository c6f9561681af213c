"""Too little memory for a batch is found before work starts, not by a process that is killed hours later.

A process that works on B images at a time holds, in bytes,

    M(B) = TORCH + WEIGHT_COPIES P + COPIES B (S + W)

with P those of all weights, S those of all tensors that one image has at the links (below, summed, above), W those of
the largest link, whose scratch comes on top, all counted in float32: a CPU widens bfloat16 for its products.

The constants were measured on a CPU (torch 2.13): how far the peak resident size of a process grew in trainings by
AdamW in float32 and bfloat16, of convolutions with and without pools and strides and of dense layers, of 16 to 2,048
images. The least that holds for all is TORCH = 80 MB with 3.2 copies for gradients and 1.6 for settling.
"""

from __future__ import annotations

from math import prod

from models.ep.evaluation import BATCH
from models.ep.links import ConvLink, Link
from models.ep.network import EPNetwork
from models.train.free_memory import free_bytes

TORCH = 100e6
"""Bytes that torch takes for code and tables when it first computes."""
WEIGHT_COPIES = 9
"""Copies of all weights: two moments of the optimizer; the weights folded, rounded and programmed; the gradient, that
by normalised pixels, and their scratch."""
GRADIENT_COPIES, SETTLING_COPIES = 3.2, 2.0
"""Copies of what an image has at the links: of both nudged phases together, of a free one."""


class TooLittleMemoryError(MemoryError):
    """A batch that does not fit into memory; the message says what would."""


def check_memory(network: EPNetwork, batch: int, device: str, *, evaluated: int, processes: int = 1) -> None:
    """Refuse to train where a gradient, or the evaluation of `evaluated` images, needs more memory than is free.

    The processes of a team each hold their share of a batch, and on a CPU share its memory. Nothing is refused where
    the system does not say how much is free.

    Raises:
        TooLittleMemoryError: the message has the batch, what it needs, what is free and the largest batch that fits.
    """
    free = free_bytes(device)
    if free is None:
        return
    sharing = processes if device == "cpu" else 1
    needed = sharing * bytes_of_gradient(network, -(-batch // processes))
    if needed > free:
        none, one = bytes_of_gradient(network, 0), bytes_of_gradient(network, 1)
        largest = processes * max(0, int((free / sharing - none) / (one - none)))
        advice = f"a batch of {largest} would fit" if largest else "not even one image would fit"
        raise TooLittleMemoryError(
            f"a batch of {batch} images needs {_gigabytes(needed)} on {device} "
            f"where {_gigabytes(free)} is free: {advice}"
        )
    count = min(BATCH, evaluated)
    needed = sharing * bytes_of_settling(network, count)
    if needed > free:
        raise TooLittleMemoryError(
            f"evaluating {count} images at a time needs {_gigabytes(needed)} on {device} "
            f"where {_gigabytes(free)} is free"
        )


def check_settling(network: EPNetwork, batch: int, device: str) -> None:
    """Refuse to settle more images at a time than there is memory for; `TooLittleMemoryError` says how many fit."""
    free = free_bytes(device)
    needed = bytes_of_settling(network, batch)
    if free is None or needed <= free:
        return
    none, one = bytes_of_settling(network, 0), bytes_of_settling(network, 1)
    largest = max(0, int((free - none) / (one - none)))
    advice = f"{largest} would fit" if largest else "not even one would fit"
    raise TooLittleMemoryError(
        f"settling {batch} images at a time needs {_gigabytes(needed)} on {device} "
        f"where {_gigabytes(free)} is free: {advice}"
    )


def bytes_of_gradient(network: EPNetwork, batch: int) -> float:
    """M of one gradient, 1 to 3 times what a process was seen to take."""
    return _held(network, GRADIENT_COPIES * batch)


def bytes_of_settling(network: EPNetwork, batch: int) -> float:
    """M of settling so many images at a time, 1 to 3 times what a process was seen to take."""
    return _held(network, SETTLING_COPIES * batch)


def _held(network: EPNetwork, copies: float) -> float:
    links = [_numbers(link) for link in network.links]
    weights = sum(tensor.numel() for tensor in network.named_parameters().values())
    return TORCH + 4 * (WEIGHT_COPIES * weights + copies * (sum(links) + max(links)))


def _numbers(link: Link) -> int:
    """In the tensors that one image has at a link."""
    summed = link.summed if isinstance(link, ConvLink) else link.above
    return prod(link.below) + prod(summed) + prod(link.above)


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.3g} GB"
