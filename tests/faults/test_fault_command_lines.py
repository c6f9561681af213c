"""Random command lines, sane and not: refused by name or done, never a traceback, and never a wrong figure."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from helpers.faults import Outcome, Worker, here

from models.data import load_data
from models.ep.relaxation import relax
from models.zoo import load_model

Attempt = Callable[[str, Sequence[object]], Outcome]
NUMBERS = ("0", "1", "2", "3", "-1", "7", "1e9", "1e30", "inf", "-inf", "nan", "1e-300", "0.5", "-0.5", "1_0", "1e300")
HUGE = ("99999999999999999999999999", "2147483648", "-2147483649")
WORDS = (
    "",
    " ",
    "None",
    "x",
    "digits",
    "ß",
    "a\tb",
    "../..",
    "/",
    "/dev/null",
    "\udcff",
    "x" * 5000,
    "--",
    "-",
    "%s",
    "*",
)
NASTY = (*NUMBERS, *HUGE, *WORDS)
RUN: dict[str, Sequence[str]] = {
    "--backend": ("torch", "crossbar", "torch crossbar", "torch torch"),
    "--precision": ("float", "fixed", "float fixed", "analog", "delta"),
    "--model": ("digits", "digits-noise-aware", "gone.safetensors"),
    "--data": ("digits", "gone.npz", "."),
    "--data-dir": (".", "gone"),
    "--limit": ("1", "2", "3", "360", "361"),
    "--state-bits": ("4", "8", "9"),
    "--seed": ("1", "4294967295"),
    "--device": ("cpu", "cuda:9"),
    "--steps": ("1", "2", "3"),
    "--batch-size": ("1", "2", "256"),
    "--tolerance": ("0", "0.01", "1"),
    "--resume": ("",),
    "--quick": ("",),
    "--list": ("",),
    "--version": ("",),
}
DIES: dict[str, Sequence[str]] = {
    "--device-preset": ("pcm-nandakumar-2019", "pcm-nandakumar-2019 pcm-nandakumar-2019", "gone.toml", "all"),
    "--noise-scale": ("0", "1 2", "1e300", "1e30"),
    "--hours": ("0", "1 24", "1e9"),
    "--dies": ("1", "2", "1001"),
    "--draws": ("1", "2"),
    "--programming": ("published", "write-verify"),
    "--verify-tolerance": ("0.05",),
    "--kelvin": ("300", "0"),
    "--stuck-on": ("0.1", "1"),
    "--stuck-off": ("0.1", "1"),
    "--tile-size": ("64", "16 256", "1"),
    "--adc-bits": ("8", "None 4", "1"),
    "--input-bits": ("8", "None", "1"),
    "--slice-bits": ("1", "8"),
    "--encoding": ("pair", "balanced", "offset"),
    "--weight-bits": ("8", "2"),
    "--cell-bits": ("1", "8"),
    "--wires": ("aihwkit", "none", "gold"),
    "--transpose-terminals": ("same", "opposite"),
    "--neurons": ("digital", "analog"),
    "--no-drift-compensation": ("",),
    "--column-gains": ("",),
    "--no-adc-calibration": ("",),
    "--offset-correction": ("",),
    "--noise-aware": ("True", "False"),
}
LEARN: dict[str, Sequence[str]] = {
    "--update": ("rewrite", "pulses", "mixed"),
    "--epochs": ("1", "100001"),
    "--learning-rates": ("0.1", "0.1 0.1 0.1", "1e30 1e30 1e30"),
    "--beta": ("0.5", "0.5 0.5", "1e-300", "1e300"),
    "--estimator": ("one_sided", "n_point"),
    "--nudges": ("4", "5", "1000"),
    "--phase-repeats": ("1", "1000000000"),
    "--free-steps": ("2",),
    "--nudged-steps": ("2",),
    "--learning-batch": ("8",),
}
TRAIN: dict[str, Sequence[str]] = {
    "--data": ("digits", "gone.npz"),
    "--start": ("digits", "mnist", "gone.safetensors"),
    "--images": ("0", "1", "9", "1258"),
    "--beta": ("0.2", "1e30", "inf"),
    "--estimator": ("centered", "one_sided", "both"),
    "--free-steps": ("1",),
    "--nudged-steps": ("1",),
    "--momentum": ("0.5", "1"),
    "--shift": ("0", "1"),
    "--weight-noise": ("0.1", "0.1 -1"),
    "--weight-limit": ("2", "0.5"),
    "--weight-bits": ("4", "1"),
    "--seed": ("1",),
    "--epochs": ("0", "1"),
    "--batch-size": ("1", "8", "256"),
    "--learning-rates": ("0.1", "0.1 0.1 0.1", "1e30 1e30 1e30"),
    "--weight-decay": ("0", "0 0 0", "1e30 1e30 1e30"),
    "--device": ("cpu", "cuda"),
    "--resume": ("",),
    "--output": ("net.pt", "net.safetensors", "", "gone/net.safetensors"),
}
SPEED: dict[str, Sequence[str]] = dict.fromkeys(("--batch", "--steps", "--images", "--size", "--device"), ())
ZOO: dict[str, Sequence[str]] = {
    "--models": ("digits", "gone.safetensors", "digits digits"),
    "--data": ("digits", "gone.npz"),
    "--limit": ("1", "400"),
    "--steps": ("1", "2"),
    "--batch-size": ("1", "8"),
    "--resume": ("",),
}
SMALL = ["--limit", "2", "--steps", "2", "--disturbances"]
BETA = ["--quick", "--limit", "2", "--dies", "1", "--beta", "0.5", "--free-steps", "1", "--nudged-steps", "1"]
ON_DIES = {flag: values for flag, values in DIES.items() if flag != "--tile-size"}
"""Without small tiles, on which a gradient takes minutes of honest work."""
LINES: dict[str, tuple[str, list[str], dict[str, Sequence[str]]]] = {
    "torch": ("bench.run", SMALL, RUN),
    "dies": ("bench.run", ["--backend", "crossbar", "--dies", "1", *SMALL], {**RUN, **DIES}),
    "disturbed": ("bench.run", ["--limit", "2", "--steps", "2", "--disturbances", "gaussian-0.1"], RUN),
    "scratch": ("bench.learn", ["scratch", "--quick", "--limit", "2", "--steps", "2"], {**RUN, **LEARN}),
    "beta": ("bench.learn", ["beta", *BETA], {**RUN, **ON_DIES, **LEARN}),
    "zoo": ("bench.zoo", ["--models", "digits", "--limit", "2", "--steps", "2"], ZOO),
    "train": ("models.train", ["digits", "--epochs", "1", "--images", "8"], TRAIN),
    "twin": ("models.twin", ["digits", "--epochs", "0"], TRAIN),
}
"""What is cheap to do, and what is changed of it."""
FORMS = ("torch", "torch", "torch", "dies", "dies", "disturbed", "train", "train", "twin", "zoo", "scratch", "beta")


def line_of(form: str, random_: random.Random) -> tuple[str, list[str]]:
    """A command, and its arguments: cheap ones with one to three others, sane or not, in their place or beside them."""
    command, small, options = LINES[form]
    arguments = list(small)
    for flag in random_.sample(sorted(options), random_.randint(1, 3)):
        values = options[flag]
        value = random_.choice(NASTY) if not values or random_.random() < 0.4 else random_.choice(values)
        sane = value in values
        if flag in arguments and "--disturbances" not in arguments[arguments.index(flag) :][:1]:
            place = arguments.index(flag)
            del arguments[place : place + 2]
        parts = value.split(" ") if sane else [value]
        given = [flag, *([] if values == ("",) else parts)]
        arguments = given + arguments if command == "bench.run" else arguments + given
    return command, arguments


@cache
def settled(limit: int, steps: int) -> float:
    """Share of the digits that the network of the zoo gets right, by plain relaxation."""
    network, shown = load_model("digits"), load_data("digits").test.first(limit)
    states = relax(network, shown.floats(), steps=steps, schedule="synchronous").states
    return float((network.logits(states[-1]).argmax(dim=1) == shown.labels).double().mean())


def finite(text: str) -> Any:
    """A JSON document; ValueError for NaN and infinities."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def value_of(arguments: Sequence[str], flag: str) -> str:
    """The last value that was given for an option."""
    return arguments[len(arguments) - arguments[::-1].index(flag)]


def wrong_figures(command: str, arguments: Sequence[str], outcome: Outcome) -> str:
    """What is wrong with what a command printed that ended well; nothing where all is well."""
    if {"--list", "--version"} & set(arguments):
        return ""
    document = finite(outcome.out.rstrip().splitlines()[-1])
    if not command.startswith("bench."):
        return "" if 0 <= document["test"]["accuracy"] <= 1 else "an accuracy beyond 1"
    if not document["rows"] or not Path(document["folder"], "report.md").stat().st_size:
        return "no rows, or no report"
    first = document["rows"][0]
    plain = (first["backend"], first["precision"], first.get("model")) == ("torch", "float", "digits")
    if command == "bench.run" and plain and "--tolerance" not in arguments:
        expected = settled(first["images"], int(value_of(arguments, "--steps")))
        if first["accuracy"] != expected:
            return f"accuracy {first['accuracy']}, not {expected}"
    return ""


def fuzz(count: int, seed: int, folder: Path, attempt: Attempt) -> Counter[str]:
    """Try so many command lines; how they ended. Fails with every one that ended as none may."""
    random_, ended, bad = random.Random(seed), Counter[str](), list[str]()
    for number in range(count):
        command, arguments = line_of(random_.choice(FORMS), random_)
        if command.startswith("bench.") and "--output" not in arguments:
            arguments += ["--output", str(folder / f"run-{number}")]
        elif "--output" not in arguments:
            arguments += ["--output", str(folder / f"net-{number}.safetensors")]
        outcome = attempt(command, [argument.encode("utf-8", "replace").decode() for argument in arguments])
        why = outcome.wrong
        if not why and outcome.code == 0:
            try:
                why = wrong_figures(command, arguments, outcome)
            except Exception as error:
                why = f"its last line: {error!r}"
        if not why and outcome.code == 2 and (folder / f"run-{number}").exists():
            why = "was refused, and left a folder"
        ended[f"exit code {outcome.code}"] += 1
        if why:
            bad.append(f"{command} {arguments}: {why}")
    assert not bad, f"{len(bad)} of {count}:\n" + "\n".join(bad)
    return ended


def test_command_lines_are_done_or_refused(tmp_path: Path) -> None:
    with here(tmp_path) as attempt:
        ended = fuzz(40, 0, tmp_path, attempt)
    assert ended["exit code 0"] >= 5
    assert ended["exit code 2"] >= 5


@pytest.mark.slow
def test_two_thousand_command_lines_are_done_or_refused(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        ended = fuzz(2000, 1, tmp_path, worker.attempt)
    print(f"2,000 command lines: {dict(ended)}")
    assert ended["exit code 0"] >= 200
    assert ended["exit code 2"] >= 200
