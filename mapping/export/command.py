"""Write a trained network as files:  python -m mapping.export digits --to program --output DIR

The folder is written whole or not at all, and never over another one without --force. The last line of output is the
folder's export.json as one JSON document. Exit code 2 for what cannot be exported as it was asked for, 1 for an export
that failed, 130 for Ctrl-C.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, make_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from mapping.export.folder import check_folder, whole_folder, write_manifest
from mapping.export.format import Format
from mapping.export.formats import FORMATS
from mapping.export.options import Calibration

if TYPE_CHECKING:
    from mapping.export.source import Source


@dataclass(frozen=True)
class ExportOptions:
    """What is written as what, and where to."""

    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]]
    """A network of the zoo, a checkpoint FILE.safetensors, or a program FILE.safetensors."""
    to: Annotated[str, tyro.conf.arg(metavar="FORMAT")]
    """One of the formats above."""
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder to write."""
    force: bool = False
    """Replace the export that is there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options, calibration, formats = parse(arguments)
    try:
        kind, source = checked(options, calibration, formats, arguments)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        command = shlex.join(["python", "-m", "mapping.export", *arguments])
        manifest = export(source, kind, options.output, command)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped: nothing was written", file=sys.stderr)
        return 130
    print(f"{kind.name} of {source.model} in {options.output}: {len(manifest['files'])} files")
    print(json.dumps({"folder": str(options.output), **manifest}))
    return 0


def export(source: Source, kind: Format, output: Path, command: str | None = None) -> dict[str, Any]:
    """Write a network in a format to a folder, in place of the one that is there; returns its export.json."""
    with whole_folder(output) as folder:
        told = kind.write(source, folder)
        about = {"format": kind.name, **source.described(), "options": _json(kind), "command": command}
        return write_manifest(folder, {**about, **told})


def parse(arguments: Sequence[str]) -> tuple[ExportOptions, Calibration, dict[str, Format]]:
    """The command line, with every format as its options say."""
    groups: dict[str, Any] = {name: kind for name, kind in FORMATS.items() if fields(kind)}
    command = make_dataclass(
        "Command",
        [
            ("export", Annotated[ExportOptions, tyro.conf.arg(name="", help="")]),
            ("calibration", Annotated[Calibration, tyro.conf.arg(name="integers")], field(default=Calibration())),
            *(
                (name, Annotated[kind, tyro.conf.arg(name=name, help="")], field(default=kind()))
                for name, kind in groups.items()
            ),
        ],
        frozen=True,
    )
    width = max(map(len, FORMATS))
    listed = "\n".join(f"  {name:{width}}  {kind.purpose}" for name, kind in FORMATS.items())
    parsed: Any = tyro.cli(
        command,
        args=list(arguments),
        prog="python -m mapping.export",
        description=f"Write a trained network as files that others load. Formats:\n\n{listed}",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    return (
        parsed.export,
        parsed.calibration,
        {name: getattr(parsed, name, None) or kind() for name, kind in FORMATS.items()},
    )


def checked(
    options: ExportOptions, calibration: Calibration, formats: dict[str, Format], arguments: Sequence[str]
) -> tuple[Format, Source]:
    """The format and what it will be given; ValueError for what cannot be exported, before anything is written."""
    if options.to not in formats:
        near = get_close_matches(options.to, formats, n=1)
        hint = f" (nearest: {near[0]})" if near else ""
        raise ValueError(f"--to {options.to!r} is unknown{hint}, choices are {', '.join(formats)}")
    _check_foreign(arguments, options.to)
    kind = formats[options.to]
    calibration.check()
    kind.check()
    check_folder(options.output, options.force)
    from mapping.export.source import read_source

    source = read_source(options.model, calibration)
    obstacle = kind.obstacle(source)
    if obstacle is not None:
        holding = [name for name, other in formats.items() if other.obstacle(source) is None]
        raise ValueError(f"--to {options.to}: {obstacle}; formats that hold it: {', '.join(holding) or 'none'}")
    return kind, source


def _check_foreign(arguments: Sequence[str], to: str) -> None:
    """Refuse an option of another format than the one that is written."""
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments if argument.startswith("--")}
    own = {option.name for option in fields(FORMATS[to])}
    for name, kind in FORMATS.items():
        for option in fields(kind):
            flag = f"--{option.name.replace('_', '-')}"
            if option.name not in own and flag in given:
                raise ValueError(f"{flag} is an option of the format {name}, not of {to}")


def _json(kind: Format) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(kind), default=str))
