"""What msgspec says of a wrong value, in words for people who do not know its types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_MOMENT: Final = "must be a time with its zone, like 2026-11-23T09:00:00Z"
_KINDS: Final = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "str": "must be text",
    "datetime": _MOMENT,
    "array": "must be a list",
    "object": "must be an object",
}
_PHRASES: Final[list[tuple[str, Callable[[re.Match[str]], str]]]] = [
    (r"Expected `(\w+)(?: \| null)?`, got `.*`", lambda m: _KINDS.get(m[1], m[0])),
    (r"Expected `(?:int|float)(?: \| null)?` >= (.+)", lambda m: f"at least {_plain(m[1])}"),
    (r"Expected `(?:int|float)(?: \| null)?` <= (.+)", lambda m: f"at most {_plain(m[1])}"),
    (r"Expected `str(?: \| null)?` of length >= 1", lambda _: "must not be empty"),
    (r"Expected `str(?: \| null)?` of length <= (\d+)", lambda m: f"at most {m[1]} characters"),
    (r"Expected `array(?: \| null)?` of length >= 1", lambda _: "must not be empty"),
    (r"Expected `array(?: \| null)?` of length <= (\d+)", lambda m: f"at most {m[1]} entries"),
    (r"Expected `datetime(?: \| null)?` with a timezone component", lambda _: _MOMENT),
    (r"Invalid RFC3339 encoded datetime", lambda _: _MOMENT),
    (r"Integer value out of range", lambda _: "too large a number"),
    (r"Object contains unknown field `.*`", lambda _: "there is no such field"),
    (r"Object missing required field `.*`", lambda _: "required"),
]


def in_words(reason: str) -> str:
    """Return a reason for people; one that is not known here stays as it is."""
    for pattern, words in _PHRASES:
        if match := re.fullmatch(pattern, reason, re.DOTALL):
            return words(match)
    return reason


def _plain(number: str) -> str:
    return number.removesuffix(".0")
