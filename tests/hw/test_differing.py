"""Where tensors differ, as torch has it."""

from __future__ import annotations

import torch

from hw.differing import differing

ONE = torch.tensor([[0.0, -0.0, 1.0], [float("nan"), 2.0, 0.5]])
OTHER = torch.tensor([[0.0, 0.0, 1.5], [float("nan"), 2.0, 0.0]])


def test_it_is_what_torch_says_of_numbers_tensors_and_strides() -> None:
    for one, other in ((ONE, OTHER), (ONE.T, OTHER.T), (ONE, 0.0), (ONE.double(), OTHER.double())):
        expected = one != other
        assert torch.equal(differing(one, other), expected)
        room = torch.empty(expected.shape, dtype=torch.bool)
        assert differing(one, other, room) is room
        assert torch.equal(room, expected)
