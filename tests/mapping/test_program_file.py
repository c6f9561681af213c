"""Program files that were damaged, or written by others, in ways that integers alone do not show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from helpers.random_nets import mixed_network, program_of
from safetensors.torch import save_file as save_torch

from mapping.program import KEY, Program, ProgramError


def _program() -> Program:
    return program_of(mixed_network(), state_bits=8, seed=4)


def test_every_flipped_bit_of_a_file_is_seen(tmp_path: Path) -> None:
    """int8 weights stay valid whatever flips: only the sha256 tells."""
    path = tmp_path / "net.program"
    _program().save(path)
    sound = path.read_bytes()
    start = 8 + int.from_bytes(sound[:8], "little")
    for place in range(start, len(sound), max(1, len(sound) // 40)):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        with pytest.raises(ProgramError, match=r"net\.program: damaged: the sha256 of its content is not"):
            Program.load(path)


def test_surplus_tensors_and_foreign_types_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.program"
    program = _program()
    tensors = {
        f"{name}.{part}": torch.as_tensor(getattr(link, part))
        for name, link in program.named_links().items()
        for part in ("weight", "bias")
    }
    document = {KEY: json.dumps(program.document())}
    save_torch({**tensors, "more": torch.ones(1)}, path, document)
    with pytest.raises(ProgramError, match=r"surplus tensor more, expected only link1.bias"):
        Program.load(path)
    for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float32):
        save_torch({**tensors, "link1.weight": tensors["link1.weight"].to(dtype)}, path, document)
        with pytest.raises(ProgramError, match=r"net\.program: "):
            Program.load(path)
    save_torch(tensors, path, document)  # as an earlier version wrote it, without a digest
    assert Program.load(path).document() == program.document()
