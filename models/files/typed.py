"""What people and programs wrote by hand, read into dataclasses: every key known, every value of its type.

@with_config(STRICT)
@dataclass(frozen=True)
class Point:
    x: float

point = read_json(TypeAdapter(Point), path.read_bytes())

The types are those of the dataclass, checked by pydantic: a whole number is a number too, true is none, a list is a
tuple; infinities and NaN are refused. A union of dataclasses is told apart by a field `kind`. The same adapter makes
the JSON schema that editors complete and check files by, with the docstrings of the fields.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

Made = TypeVar("Made")

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
"""Of the outermost dataclass; those inside have it too."""
OPEN = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
"""Of documents that say more than is read."""
DOCUMENT, UNKNOWN = "the document", "unexpected_keyword_argument"
LARGEST = 16 * 2**20
"""Bytes of the largest text that is read."""
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def read_text(path: Path) -> bytes:
    """The content of a text file.

    Raises:
        ValueError: there is none, it cannot be read, or it is larger than `LARGEST`; the message names the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise ValueError(f"{path}: cannot be read: {error}") from None
    if len(content) > LARGEST:
        raise ValueError(f"{path}: larger than the {LARGEST // 2**20} MiB that a text file may have")
    return content


def read_json(adapter: TypeAdapter[Made], content: bytes | str) -> Made:
    """What a JSON document says.

    Raises:
        ValueError: the message has the key, the value and what was expected there.
    """
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise ValueError(_told(adapter, error)) from None


def read_toml(adapter: TypeAdapter[Made], content: bytes) -> Made:
    """What a TOML document says; errors as of `read_json`."""
    # the parser moved into the standard library in Python 3.11
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        document = json.dumps(toml.loads(content.decode("utf-8")))
    except (ValueError, RecursionError) as error:  # all that is wrong with TOML and UTF-8 is a ValueError
        raise ValueError(f"not TOML: {error}") from None
    except TypeError:
        raise ValueError("holds a date or a time, expected numbers and text") from None
    return read_json(adapter, document)


def schema(adapter: TypeAdapter[Any]) -> str:
    """The JSON schema of such documents."""
    return json.dumps(adapter.json_schema(), indent=2) + "\n"


def _told(adapter: TypeAdapter[Any], error: ValidationError) -> str:
    """The first of what is wrong, in one line: a key too many before one that is missing, which may be the same."""
    first = min(error.errors(include_url=False), key=lambda wrong: wrong["type"] != UNKNOWN)
    kind, place = first["type"], first["loc"]
    said = str(first["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    if kind == "json_invalid":
        return f"not JSON: {said.removeprefix('Invalid JSON: ')}"
    inner = kind in ("missing", UNKNOWN)
    name, described = _at(adapter.json_schema(), place[:-1] if inner else place)
    if kind == "missing":
        return f"{name} lacks {place[-1]}"
    if kind == UNKNOWN:
        return f"{name} has the key {str(place[-1])!r}, choose from {', '.join(described['properties'])}"
    if kind.startswith("union_tag"):
        choices = ", ".join(described["discriminator"]["mapping"])
        return f"{name} has the kind {first['ctx'].get('tag')!r}, choose from {choices}"
    if kind == "value_error":
        return said if name == DOCUMENT else f"{name}: {said}"
    return f"{name} is {_SHORT.repr(first['input'])}, expected {said}"


def _at(root: dict[str, Any], place: tuple[int | str, ...]) -> tuple[str, dict[str, Any]]:
    """A place of a document as people write it, layers[2].channels, counted from 1; and what a schema says of it."""
    name, here = "", _resolved(root, root)
    for step in place:
        if isinstance(step, int):
            name, here = f"{name}[{step + 1}]", here.get("items", {})
        elif step in here.get("discriminator", {}).get("mapping", {}):
            here = {"$ref": here["discriminator"]["mapping"][step]}
        else:
            inner = here.get("properties", {}).get(step) or here.get("additionalProperties") or {}
            name, here = f"{name}.{step}" if name else step, inner
        here = _resolved(root, here)
    return name or DOCUMENT, here


def _resolved(root: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for; of several choices the first."""
    while "$ref" in here or "anyOf" in here:
        here = root["$defs"][here["$ref"].rpartition("/")[2]] if "$ref" in here else here["anyOf"][0]
    return here
