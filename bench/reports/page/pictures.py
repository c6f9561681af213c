"""Adversarial examples: images as they are and as an attack has changed them, with what torch float answers."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.command_line import ConfigError
from bench.machines.backend import Images
from bench.records.answers import ANSWERS, CLEAN, Answers, read_answers
from bench.reports.page.figure import Figure, Line, told
from bench.reports.page.gathered import Entry, Gathered, Source, attacked_in
from bench.robustness.kept import KEY, digest_of
from models.data import Dataset, load_data
from models.files.tensorfile import CheckpointError, read_tensors

MOST_IMAGES = 8


def picture_figures(gathered: Gathered, data_dir: Path | None) -> list[Figure]:
    """One for each folder that holds attacked images; a figure is left out where the data set is not there."""
    figures = []
    for number, source in enumerate(gathered.sources, start=1):
        entries = [
            entry for entry in gathered.entries if entry.source == source.name and entry.machine == "torch float"
        ]
        folder = attacked_in(source.folder)
        if folder is not None and entries:
            name = "adversarial" if len(gathered.sources) == 1 else f"adversarial-{number}"
            figures.append(_figure(name, source, folder, entries, data_dir))
    return [figure for figure in figures if figure is not None]


def _figure(name: str, source: Source, folder: Path, entries: list[Entry], data_dir: Path | None) -> Figure | None:
    attacked: dict[str, Images] = {}
    digests = set()
    for file in sorted(folder.glob("pgd-*.safetensors"), key=lambda file: float(file.stem.rpartition("-")[2])):
        try:
            tensors, document = read_tensors(file, KEY)
        except CheckpointError as error:
            raise ConfigError(str(error)) from error
        attacked[file.stem] = tensors["images"].numpy()
        digests.add(document["clean"])
    entry = next((one for one in entries if set(attacked) <= set(one.row["robust"])), entries[0])
    clean = _clean(entry, len(next(iter(attacked.values()))), data_dir)
    if clean is not None and {digest_of(clean[0])} == digests:
        attacked = {CLEAN: clean[0], **attacked}
    answers = _answers(source.folder, entry)
    chosen = _telling(answers, list(attacked), len(next(iter(attacked.values()))))
    labels = answers.labels if answers is not None else clean[1] if clean is not None else None
    data = [
        line
        for kind, images in attacked.items()
        for line in _lines(kind, images, chosen, labels, None if answers is None else answers.scores.get(kind))
    ]
    caption = "Images that were shown to every machine, made on the float network."
    caption += " Below each: its class, and what torch float answers." if answers is not None else ""
    title = f"{entry.row['model']}, {entry.row['data']}"
    return Figure(name, "Adversarial examples", title, caption, data, _chart(data), hidden=("url",))


def _clean(entry: Entry, count: int, data_dir: Path | None) -> tuple[Images, NDArray[np.int64]] | None:
    """The first test images; None where the data set is not on this computer."""
    try:
        dataset: Dataset = load_data(str(entry.row["data"]), data_dir)
    except (ValueError, OSError):
        return None
    test = dataset.test.at_most(count)
    return test.floats().numpy(), test.labels.numpy()


def _answers(folder: Path, entry: Entry) -> Answers | None:
    digest = entry.row["answers"]
    return None if digest is None else read_answers(folder / ANSWERS, digest)


def _telling(answers: Answers | None, kinds: list[str], count: int) -> list[int]:
    """Images that were right and are wrong under the strongest attack, and then any others."""
    order = list(range(count))
    if answers is not None and kinds[-1] in answers.scores:
        lost = answers.right()[0] - answers.right(kinds[-1])[0]
        order.sort(key=lambda index: -lost[index])
    return sorted(order[:MOST_IMAGES])


def _lines(
    kind: str, images: Images, chosen: list[int], labels: NDArray[np.int64] | None, scores: NDArray[Any] | None
) -> list[Line]:
    lines: list[Line] = []
    for index in chosen:
        line: Line = {"shown": kind, "image": str(index), "url": _url(images[index]), "answer": ""}
        if labels is not None:
            line["class"] = int(labels[index])
        if scores is not None:
            answer = int(scores[0, 0, index].argmax())
            line |= {"answered": answer, "answer": f"{line.get('class', '?')} → {answer}"}
        lines.append(line)
    return lines


def _url(image: Images) -> str:
    """A PNG within text: pixels as they are, four times as large, so that no browser blurs them."""
    levels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    picture = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    content = BytesIO()
    picture.resize((4 * picture.width, 4 * picture.height), Image.Resampling.NEAREST).save(content, "PNG")
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"


def _chart(data: list[Line]) -> alt.LayerChart:
    kinds = list(dict.fromkeys(line["shown"] for line in data))
    base = alt.Chart(height=92 * len(kinds)).encode(
        x=alt.X("image:N", title="test image", sort=None, axis=alt.Axis(labelAngle=0, ticks=False, domain=False)),
        y=alt.Y("shown:N", title=None, sort=kinds, axis=alt.Axis(ticks=False, domain=False)),
    )
    wrong = alt.condition("datum.answered === datum['class']", alt.value("#228833"), alt.value("#cc3344"))
    return alt.layer(
        base.mark_image(width=64, height=64).encode(url="url:N", tooltip=told(data[0], ("url", "answer"))),
        base.mark_text(dy=40, fontSize=11).encode(text="answer:N", color=wrong),
    )
