"""Events of two settles add up only if one machine counted them."""

from __future__ import annotations


def check_same(one: object, other: object, names: tuple[str, ...]) -> None:
    """Refuse events that differ in what describes the machine; ValueError names every attribute that does."""
    differing = [name for name in names if getattr(one, name) != getattr(other, name)]
    if differing:
        raise ValueError(f"events of different machines: {', '.join(differing)} differ")
