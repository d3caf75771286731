"""Garbage by chance: bytes that are spoiled a little, and values with something else inside."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

WHOLE_NUMBERS: Final = (
    *(0, 1, -1, 2, 5, 999, 1_000, 1_001, 2**31 - 1, 2**31, 2**53, 2**53 + 1),
    *(2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63)),
)
OTHER_NUMBERS: Final = (0.0, 0.5, 1.0, -1.5, 1e308, float("nan"), float("inf"), float("-inf"))
TEXTS: Final = (
    *("", " ", "gala", "nowhere", "general", "open", "paused", "EUR", "x" * 300, "\0", "\r\n", "é"),
    *("not-a-uuid", "0" * 32, "../..", "null", "00000000-0000-0000-0000-000000000001", "%s", "🎫"),
)
BYTES: Final = (b"", b"x" * 16, b"\xff" * 3, b"\x00" * 300)


def value(chance: random.Random, depth: int = 0) -> Any:
    """Return anything that msgpack can carry."""
    kind = chance.randrange(9 if depth < 3 else 6)
    match kind:
        case 0 | 1:
            return chance.choice(WHOLE_NUMBERS)
        case 2 | 3:
            return chance.choice(TEXTS)
        case 4:
            return chance.choice((None, True, False, *OTHER_NUMBERS))
        case 5:
            return chance.choice(BYTES)
        case 6 | 7:
            return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            return {
                chance.choice(TEXTS): value(chance, depth + 1) for _ in range(chance.randrange(3))
            }


def bend(chance: random.Random, good: Any) -> Any:
    """Change one place in a nested list or dict: mostly to something of the same type."""
    places = list(_places(good))
    container, key = chance.choice(places) if places else (None, None)
    if container is None:
        return value(chance)
    draw = chance.random()
    if draw < 0.6:
        container[key] = _alike(chance, container[key])
    elif draw < 0.85:
        container[key] = value(chance)
    elif draw < 0.93 or isinstance(container, dict):
        del container[key]
    else:
        container.insert(key, value(chance))
    return good


def _places(node: Any) -> Any:
    keys: Any = (
        range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
    )
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _alike(chance: random.Random, old: Any) -> Any:
    match old:
        case bool():
            return not old
        case int():
            return chance.choice(WHOLE_NUMBERS)
        case str():
            return chance.choice(TEXTS)
        case bytes():
            return chance.choice(BYTES)
        case list():
            return chance.choice(([], old + old, old[:1]))
        case _:
            return value(chance)


def spoil(chance: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Flip, cut, double or drop bytes, or splice with another."""
    spoiled = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(spoiled) + 1)
        end = min(len(spoiled), at + chance.choice((1, 1, 2, 5, 20)))
        match chance.randrange(7):
            case 0 if at < len(spoiled):
                spoiled[at] ^= 1 << chance.randrange(8)
            case 1:
                del spoiled[at:end]
            case 2:
                spoiled[at:at] = spoiled[at:end]
            case 3:
                spoiled[at:at] = chance.randbytes(chance.randint(1, 4))
            case 4:
                spoiled[at:at] = chance.choice(
                    (b"\0", b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",")
                )
            case 5 if others:
                other = chance.choice(others)
                spoiled[at:] = other[chance.randrange(len(other) + 1) :]
            case _:
                del spoiled[at + chance.randrange(40) :]
    return bytes(spoiled)
