"""`python -m bench.reports.blocks`: write what the READMEs quote of the committed results, from these results.

A block stands between <!-- NAME --> and <!-- end of NAME -->. With --check nothing is written, and exit code 1 says
that a README quotes something else than the results hold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.records.learning_row import LearningRow
from bench.records.row import Row
from bench.records.rows_file import read_rows
from bench.records.zoo_row import ZooRow
from bench.reports import resistive
from bench.reports.format import markdown, percent, si
from bench.reports.learning import tables
from bench.reports.robust_attacks import attacks_table, corrupted_table
from bench.reports.robust_machines import loops_table, machines_table
from bench.reports.robust_seeds import recipes_table
from bench.reports.robust_table import robust_table
from bench.reports.run_report import columns
from bench.reports.side_by_side import compared, table
from bench.reports.studied import Studied, one_per_network, read_study
from bench.reports.sweep_table import device_lines
from bench.robustness.transfer import Transfers
from models.controls import FOLDER as CONTROLS
from models.controls import control_names
from models.zoo import zoo_names
from models.zoo.manifests import manifest_of

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"
PAGES = (
    "README.md",
    "models/README.md",
    "hw/brian/README.md",
    "hw/crossbar/README.md",
    "hw/resistive/README.md",
    "bench/README.md",
    "bench/robustness/README.md",
)


def rows_of(name: str) -> list[Row]:
    """The committed rows of a run."""
    return [Row.from_json(row) for row in read_rows(RESULTS / name / "rows.jsonl")]


def learning_rows_of(name: str) -> list[LearningRow]:
    """The committed rows of a study."""
    return [LearningRow.from_json(row) for row in read_rows(RESULTS / name / "rows.jsonl")]


def zoo_rows() -> list[ZooRow]:
    """The committed rows of the zoo."""
    return [ZooRow.from_json(row) for row in read_rows(RESULTS / "zoo" / "rows.jsonl")]


def _json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _summary(name: str) -> list[str]:
    named = columns(rows_of(name))
    return markdown(["per image", *named[0][1]], [[line, *cells] for line, cells in named[1:]])


def _devices() -> list[str]:
    heading, *lines = device_lines(rows_of("digits-crossbar"))
    return markdown(heading, lines)


def _learning(name: str) -> list[str]:
    blocks = [markdown(heading, lines) for _, heading, lines in tables(learning_rows_of(name))]
    return [line for block in blocks for line in (*block, "")][:-1]


STRENGTHS = ("feedback-weak", "feedback-medium", "feedback-high", "feedback-strong")
"""Networks of one architecture with more and more feedback, which learnt without noise."""
ON_HARDWARE = tuple(f"hw-{name}" for name in STRENGTHS)
"""The same, which learnt on noisy dies."""


def _feedback() -> list[str]:
    """What manifests say of the strengths of feedback."""
    heading = ("network", "feedback in layers 1, 2", "radius", "validation %", "feedback cut %", "same at 2 T %")
    lines = []
    for name in (*STRENGTHS, *ON_HARDWARE):
        if name not in zoo_names():
            continue
        manifest = manifest_of(name)
        feedback, run = manifest["feedback"], manifest["hyperparameters"]
        shares = [f"{100 * feedback[key]:.1f}" for key in ("accuracy", "accuracy_cut", "agreement")]
        layers = ", ".join(f"{share:.2f}" for share in feedback["share"])
        lines.append(
            [
                name,
                layers,
                f"{feedback['radius']:.2f} (to {feedback['radius_max']:.2f})",
                *shares,
                f"{100 * manifest['test']['accuracy']:.1f}",
                _read_anew(name),
                f"{run['free_steps']} + {run['nudged_steps']}",
                f"{manifest['wall_s'] / 60:.0f} min",
            ]
        )
    return markdown([*heading, "test %", "test, cut and read anew %", "sweeps", "training"], lines)


def _read_anew(name: str) -> str:
    """Accuracy on the test images with feedback cut and the readout learnt anew, where that was done."""
    file = RESULTS / "feedback-cut" / f"{name}.json"
    return f"{100 * _json(file)['test']['accuracy']:.1f}" if file.is_file() else "-"


def _on_machines() -> list[str]:
    runs = [RESULTS / name for name in (STRENGTHS[0], *ON_HARDWARE)]
    return table([compared(folder) for folder in runs if folder.is_dir()])


def _zoo() -> list[str]:
    """Accuracy on all test images, and on 1,000, 500 or 200 of them on five dies after an hour."""
    dies = {
        "mnist": "mnist",
        "hw-cifar10-small": "hw-cifar10-small-crossbar",
        "seed-cifar10-small": "seed-cifar10-small-crossbar",
    }
    by_name: dict[str, dict[str, Row]] = {}
    for row in zoo_rows():
        by_name.setdefault(row.row.model, {})[row.row.precision] = row.row
    lines = []
    for model, rows in by_name.items():
        manifest = _json(ROOT / "models" / "zoo" / f"{model}.json")
        on_dies = "-"
        if model in dies:
            reference, *_, die = rows_of(dies[model])
            on_dies = f"{percent(die.accuracy, die.accuracy_ci95)}, float {100 * (reference.accuracy or 0):.1f}"
        lines.append(
            [
                model,
                f"{rows['float'].images:,} of {rows['float'].data}",
                percent(rows["float"].accuracy, rows["float"].accuracy_ci95),
                percent(rows["delta"].accuracy, rows["delta"].accuracy_ci95) if "delta" in rows else "-",
                on_dies,
                f"{manifest['wall_s'] / 60:.0f} min, {manifest['threads']} threads",
            ]
        )
    heading = ["network", "test images", "float %", "int8 on Lava %", "five PCM dies after 1 h %", "training"]
    return markdown(heading, lines)


def _twins() -> list[str]:
    lines = []
    for name in ("hw-cifar10-small-twin", "hw-cifar10-small-twin-batch-norm"):
        twin = _json(RESULTS / "twins" / f"{name}.json")
        lines.append([name, f"{100 * twin['test']['accuracy']:.1f}", f"{twin['wall_s'] / 60:.0f} min"])
    return markdown(["feed-forward twin, by backpropagation", "test images right %", "training"], lines)


def _controls() -> list[str]:
    """One line for the seeds of a control together."""
    seeds: dict[str, list[dict[str, Any]]] = {}
    for name in control_names():
        seeds.setdefault(name.rpartition("-")[0], []).append(_json(CONTROLS / f"{name}.json"))
    lines = []
    for base, manifests in seeds.items():
        right = ", ".join(f"{100 * one['packed']['test']['accuracy']:.1f}" for one in manifests)
        epochs = manifests[0]["hyperparameters"]["epochs"]
        lines.append([base, ", ".join(str(one["seed"]) for one in manifests), right, str(epochs)])
    return markdown(["control", "seeds", "test images right %", "epochs"], lines)


def _kept_studies(name: str) -> list[Studied]:
    """All studies of robustness that are kept in this folder of results, in the order of their names."""
    return [read_study(path.parent) for path in sorted((RESULTS / name).glob("*/checks.json"))]


def _transfer() -> list[str]:
    """What was found on each network, shown to all."""
    found = json.loads((RESULTS / "robustness" / "transfer.json").read_text(encoding="utf-8"))
    return [line for one in found for line in Transfers(**one).tables()][:-1]


def _speeds() -> list[str]:
    settle, train = (_json(RESULTS / "speed" / f"{name}.json") for name in ("settle", "train"))
    cells = [
        ["settling seed-cifar10", _times(settle, "settle"), f"{100 * settle['others']['agreement']:.1f} % the same"],
        ["training seed-cifar10", _times(train, "train"), f"cosine {train['others']['cosine']:.3f}"],
        ["training hw-cifar10-small", _times(train, "train_small"), f"cosine {train['others']['cosine_small']:.3f}"],
    ]
    return markdown(["the engine, against 250 + 30 + 30 float32 steps", "as fast", "answers, gradient"], cells)


def _rest() -> list[str]:
    """Time to rest of the circuits of the zoo, beside what their slowest mode says."""
    heading = ["network", "time to rest, tau (slowest image)", "radius (to)", "ln(100) / (1 - radius), tau"]
    lines = [
        [
            one["model"],
            f"{one['mean_tau']:.1f} ({one['max_tau']:.1f})",
            f"{one['radius']:.2f} ({one['radius_max']:.2f})",
            f"{one['predicted_tau']:.1f}",
        ]
        for one in _json(RESULTS / "rest" / "rest.json")["rest"]
    ]
    return markdown(heading, lines)


def _speed_of_brian() -> list[str]:
    timed = _json(RESULTS / "speed" / "brian.json")
    lines = [
        [name.replace("_", " "), si(seconds, "s"), f"{seconds / timed['seconds']['torch']:.1f} times"]
        for name, seconds in timed["seconds"].items()
    ]
    return markdown(["case", "per image and step", "torch"], lines)


def _times(timed: dict[str, Any], what: str) -> str:
    return f"{timed['ratios'][f'plain_over_{what}']:.0f} times"


BLOCKS: dict[str, Callable[[], list[str]]] = {
    "digits": lambda: _summary("digits"),
    "devices": _devices,
    "repair": lambda: _learning("digits-repair"),
    "scratch on Lava": lambda: _learning("digits-scratch-lava"),
    "scratch on dies": lambda: _learning("digits-scratch"),
    "beta": lambda: _learning("digits-beta"),
    "feedback": _feedback,
    "feedback on machines": _on_machines,
    "zoo": _zoo,
    "twins": _twins,
    "controls": _controls,
    "robustness": lambda: robust_table(
        one_per_network([*_kept_studies("robustness"), *_kept_studies("robustness-standard")])
    ),
    "robustness of recipes": lambda: recipes_table(_kept_studies("robustness")),
    "robustness by attack": lambda: attacks_table(_kept_studies("robustness-standard")),
    "corruptions": lambda: corrupted_table(_kept_studies("robustness-standard")),
    "robustness on machines": lambda: machines_table(
        [*_kept_studies("robustness-shown"), *_kept_studies("robustness-machines")]
    ),
    "robustness in the loop": lambda: loops_table(
        [*_kept_studies("robustness-machines"), read_study(RESULTS / "robustness-noise" / "draws-digits")]
    ),
    "transfer": _transfer,
    "speeds": _speeds,
    "digits in Brian": lambda: _summary("digits-brian"),
    "rest": _rest,
    "scratch in Brian": lambda: _learning("digits-scratch-brian"),
    "speed of Brian": _speed_of_brian,
    "resistors on digits": lambda: resistive.energy_table(
        _json(RESULTS / "resistive-digits" / "results.json")["energy"]
    ),
    "resistors on MNIST": lambda: resistive.energy_table(_json(RESULTS / "resistive-mnist" / "results.json")["energy"]),
    "assumptions on resistors": lambda: resistive.varied_table(
        _json(RESULTS / "resistive-mnist" / "results.json")["energy"]
    ),
    "repair of resistors": lambda: resistive.repair_table(
        [learning_rows_of(name) for name in ("resistive-repair-noise", "resistive-repair")]
    ),
    "speed of resistors": lambda: resistive.speed_table(_json(RESULTS / "speed" / "resistive.json")),
}
"""What may be quoted, by name."""


def filled(text: str, page: str) -> str:
    """A page with every block as the results have it; ValueError names a block that is unknown or has no end."""
    for line in text.splitlines():
        if line.startswith("<!-- ") and line.endswith(" -->") and not line.startswith("<!-- end of "):
            name = line.removeprefix("<!-- ").removesuffix(" -->")
            if name not in BLOCKS:
                raise ValueError(f"{page}: block {name!r} is unknown, blocks are {', '.join(BLOCKS)}")
            start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
            before, _, rest = text.partition(start)
            _, ended, after = rest.partition(end)
            if not ended:
                raise ValueError(f"{page}: block {name!r} has no {end}")
            text = before + start + "\n" + "\n".join(BLOCKS[name]()) + "\n\n" + end + after
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or with --check compare; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments not in ([], ["--check"]):
        print(f"error: {' '.join(arguments)} is no option, choices are --check", file=sys.stderr)
        return 2
    stale = []
    for page in PAGES:
        file = ROOT / page
        text = file.read_text(encoding="utf-8")
        fresh = filled(text, page)
        if fresh != text and arguments:
            stale.append(page)
        elif fresh != text:
            file.write_text(fresh, encoding="utf-8")
    for page in stale:
        print(f"{page} quotes something else than the results hold: python -m bench.reports.blocks", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
