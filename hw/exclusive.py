"""One caller at a time: a machine has one state, and two threads on it must not see each other's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar


class Lockable(Protocol):
    """A machine that holds a `threading.RLock`, so that its own methods may call each other."""

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held by the thread that is being served."""
        ...


Owner = TypeVar("Owner", bound=Lockable)
Taken = ParamSpec("Taken")
Given = TypeVar("Given")


def exclusive(method: Callable[Concatenate[Owner, Taken], Given]) -> Callable[Concatenate[Owner, Taken], Given]:
    """A method during which the machine is its caller's: calls from other threads wait until it is over."""

    @wraps(method)
    def alone(machine: Owner, *args: Taken.args, **kwargs: Taken.kwargs) -> Given:
        with machine.lock:
            return method(machine, *args, **kwargs)

    return alone
