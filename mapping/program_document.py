"""What a program file says of its integers, read by types."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, with_config

from models.files.typed import STRICT, read_json

Size = Annotated[int, Field(ge=1, le=2**31 - 1)]


@dataclass(frozen=True)
class LinkDocument:
    """One link, all but its integers."""

    kind: Literal["conv", "dense"]
    below: Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)]
    exponent: int
    stride: Size = 1
    padding: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    pooling: Literal["none", "average", "max"] = "none"
    pool_size: Size = 1


@with_config(STRICT)
@dataclass(frozen=True)
class ProgramDocument:
    """One program."""

    version: int
    state_bits: int
    links: Annotated[dict[str, LinkDocument], Field(min_length=1)]
    """link1, link2, ..., and the readout, if there is one."""
    feedback: bool = True

    def __post_init__(self) -> None:
        count = len(self.links.keys() - {"readout"})
        expected = [f"link{number}" for number in range(1, count + 1)]
        expected += ["readout"] if "readout" in self.links else []
        if sorted(self.links) != sorted(expected) or not count:
            raise ValueError(f"links are {', '.join(self.links)}, expected link1, link2, ... and readout or none")


_DOCUMENT = TypeAdapter(ProgramDocument)
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def json_object(text: str) -> dict[str, Any]:
    """A JSON object of whatever keys; ValueError for anything else."""
    return read_json(_OBJECT, text)


def typed_document(document: dict[str, Any]) -> ProgramDocument:
    """What a JSON object says of a program; ValueError names the key, the value and what was expected."""
    return read_json(_DOCUMENT, json.dumps(document))
