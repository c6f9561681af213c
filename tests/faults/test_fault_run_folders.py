"""Run folders whose files were damaged: named and refused, or gone on with to the figures of the run that was not."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.faults import Outcome, Worker, here

Attempt = Callable[[str, Sequence[object]], Outcome]
RUNS: dict[str, tuple[str, list[str]]] = {
    "run": (
        "bench.run",
        [
            "--precision",
            "float",
            "fixed",
            "--limit",
            "4",
            "--steps",
            "3",
            "--disturbances",
            "gaussian-0.1",
            "pgd-linf-0.03",
        ],
    ),
    "zoo": ("bench.zoo", ["--models", "digits", "digits-noise-aware", "--limit", "4", "--steps", "3"]),
}
"""Cheap runs of which every file is damaged."""
TIMED = ("date", "latency_s", "wall_s_per_image", "energy_measured_j", "made_by", "digest", "costs", "energy_j")
FILES = ("config.json", "env.json", "rows.jsonl", "rows.jsonl", "pgd-linf-0.03.safetensors")
FOREIGN = (
    b"null",
    b"[]",
    b"{}",
    b"3",
    b'"text"',
    b"true",
    b"",
    b"\n",
    b"\x00" * 40,
    b"\xff\xfe{}",
    b"[" * 100_000,
    b"NaN",
)


def damaged(content: bytes, random_: random.Random) -> bytes:
    """The content of a file after something that happens to files."""
    lines = content.splitlines(keepends=True)
    at = random_.randrange(len(content))
    row = random_.randrange(len(lines))
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    digit = random_.choice(digits) if digits else at
    return random_.choice(
        (
            lambda: content[:at],
            lambda: content[at:],
            lambda: content[:at] + bytes([content[at] ^ 1 << random_.randrange(8)]) + content[at + 1 :],
            lambda: content[:digit] + str(random_.randrange(10)).encode() + content[digit + 1 :],
            lambda: content[:at] + random_.randbytes(random_.randint(1, 40)) + content[at:],
            lambda: content[:at] + b"\x00" * (len(content) - at),
            lambda: b"".join([*lines, lines[row]]),
            lambda: b"".join(lines[:row] + lines[row + 1 :]),
            lambda: b"".join(random_.sample(lines, len(lines))),
            lambda: b"".join([*lines[:row], random_.choice(FOREIGN), b"\n", *lines[row:]]),
            lambda: random_.choice(FOREIGN),
            lambda: content.replace(b'"digits"', b'"mnist"', 1),
            lambda: content.replace(b"0.", b"1.", 1),
        )
    )()


def figures(folder: Path) -> list[dict[str, Any]]:
    """Rows of a folder, without what another moment changes."""
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    kept = [{name: value for name, value in row.items() if name not in TIMED} for row in rows]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))


def made(folder: Path, attempt: Attempt) -> dict[str, Path]:
    """The runs that are damaged, undisturbed."""
    for name, (command, options) in RUNS.items():
        outcome = attempt(command, [*options, "--output", folder / name])
        assert outcome.code == 0, outcome.said + outcome.traceback
    return {name: folder / name for name in RUNS}


def fuzz(count: int, seed: int, folder: Path, attempt: Attempt) -> Counter[str]:
    """Damage so many files, one at a time, and go on with the run; how that ended. Fails with all that went wrong."""
    random_, ended, bad = random.Random(seed), Counter[str](), list[str]()
    whole = made(folder, attempt)
    for number in range(count):
        name = random_.choice(("run", "run", "zoo"))
        command, options = RUNS[name]
        copy = folder / "copy"
        shutil.copytree(whole[name], copy)
        file = copy / random_.choice([file for file in FILES if (copy / file).exists()])
        # killed before the last row, so that there is work, and attacked images are read; Lava takes seconds to begin
        if random_.random() < {"run": 0.5, "zoo": 0.05}[name]:
            rows = (copy / "rows.jsonl").read_bytes().splitlines(keepends=True)
            (copy / "rows.jsonl").write_bytes(b"".join(rows[:-1]))
        before = file.read_bytes()
        file.write_bytes(damaged(before, random_))
        after = file.read_bytes()
        outcome = attempt(command, [*options, "--output", copy, "--resume"])
        why = outcome.wrong
        if not why and outcome.code == 1:
            why = f"was begun, and failed: {outcome.said[-300:]}"
        if not why and outcome.code == 2 and str(copy) not in outcome.said:
            why = f"was refused without a name: {outcome.said[-300:]}"
        if not why and outcome.code == 0 and figures(copy) != figures(whole[name]):
            why = "gave other figures"
        if not why and outcome.code == 0 and file.name == "env.json" and json.loads(after) != json.loads(before):
            why = "took over what env.json does not say"
        ended[f"{file.name}: exit code {outcome.code}"] += 1
        if why:
            bad.append(f"{number}, {name}, {file.name}, {after[:120]!r}...: {why}")
        shutil.rmtree(copy)
    assert not bad, f"{len(bad)} of {count}:\n" + "\n".join(bad)
    return ended


def test_damaged_folders_are_refused_or_made_whole(tmp_path: Path) -> None:
    with here(tmp_path) as attempt:
        ended = fuzz(24, 0, tmp_path, attempt)
    refusals = sum(number for what, number in ended.items() if what.endswith("2"))
    assert 12 <= refusals < 24


@pytest.mark.slow
def test_two_and_a_half_thousand_damaged_folders_are_refused_or_made_whole(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        ended = fuzz(2500, 1, tmp_path, worker.attempt)
    print(f"2,500 damaged files of run folders: {dict(sorted(ended.items()))}")


def test_images_of_an_attack_that_were_changed_are_refused(tmp_path: Path) -> None:
    """By another program, which writes a file that is sound in itself."""
    from safetensors.numpy import load_file, save_file

    command, options = RUNS["run"]
    with here(tmp_path) as attempt:
        assert attempt(command, [*options, "--output", tmp_path / "run"]).code == 0
        file = tmp_path / "run" / "pgd-linf-0.03.safetensors"
        (tmp_path / "run" / "rows.jsonl").unlink()
        save_file({name: 0 * images for name, images in load_file(file).items()}, file)
        outcome = attempt(command, [*options, "--output", tmp_path / "run", "--resume"])
        assert outcome.code == 2
        assert str(file) in outcome.said
        assert "delete it to have the images attacked anew" in outcome.said
        file.unlink()
        assert attempt(command, [*options, "--output", tmp_path / "run", "--resume"]).code == 0
