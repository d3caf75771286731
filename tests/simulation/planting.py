"""How a bug is planted: the product's own source with some words changed, while it lasts."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha1
from typing import Any, Literal, NamedTuple, TypeAlias

from workers.shards import turn
from workers.shards.link import Script

Change: TypeAlias = Callable[[ExitStack], None]


class Plant(NamedTuple):
    """One bug: what it does, the ledger whose simulation must find it, and how it is planted."""

    name: str
    ledger: Literal["sqlite", "model"]
    changes: list[Change]


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """Have the product carry a bug."""
    with ExitStack() as stack:
        for change in plant.changes:
            change(stack)
        yield


def source(owner: Any, name: str, old: str, new: str, also: Sequence[Any] = ()) -> Change:
    """Change words of a function of `owner`; `also` are modules that have imported it."""

    def change(stack: ExitStack) -> None:
        function = inspect.unwrap(getattr(owner, name))
        text = replaced(name, textwrap.dedent(inspect.getsource(function)), old, new)
        made: dict[str, Any] = {}
        space = vars(sys.modules[function.__module__])
        exec(compile(text, f"<planted in {name}>", "exec"), space, made)
        for place in (owner, *also):
            value(place, name, made[name])(stack)

    return change


def script(name: str, old: str, new: str) -> Change:
    """Change words of a script that a turn runs, by its name there."""

    def change(stack: ExitStack) -> None:
        changed = Script(name.strip("_").lower())
        changed.text = replaced(name, changed.text, old, new)
        changed.sha = sha1(changed.text.encode(), usedforsecurity=False).hexdigest()
        value(turn, name, changed)(stack)

    return change


def value(owner: Any, name: str, new: Any) -> Change:
    """Replace what a name means."""

    def change(stack: ExitStack) -> None:
        if name in vars(owner):
            stack.callback(setattr, owner, name, vars(owner)[name])
        else:
            stack.callback(delattr, owner, name)
        setattr(owner, name, new)

    return change


def replaced(name: str, text: str, old: str, new: str) -> str:
    """Replace words that must be there, once: else the bug would not be planted at all."""
    if text.count(old) != 1:
        raise AssertionError(f"{name} has changed: {old!r} is there {text.count(old)} times")
    return text.replace(old, new)
