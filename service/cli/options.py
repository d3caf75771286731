"""How options that say several things, or a moment, are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

import click

_ORDER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NONE = "none"  # typed to take a limit, a time or a ticket type away


def read_each(pattern: str, example: str) -> Callable[..., list[dict[str, str | None]]]:
    """Return a callback that reads each value of a repeated option by a pattern's named groups."""

    def read(
        _context: object, _option: object, values: Sequence[str]
    ) -> list[dict[str, str | None]]:
        matches = [(value, re.fullmatch(pattern, value)) for value in values]
        for value, match in matches:
            if match is None:
                raise click.BadParameter(f"{value!r} is not like {example}")
        return [match.groupdict() for _, match in matches if match]

    return read


def read_moment(_context: object, _option: object, value: str | None) -> datetime | str | None:
    """Read an option as a moment, which has a zone, or as `none`."""
    if value is None or value == NONE:
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(f"{value!r} is not like 2026-11-23T09:00:00Z, zone included")
    return moment


def read_order_ids(
    _context: object, _argument: object, value: str | tuple[str, ...]
) -> str | tuple[str, ...]:
    """Read one order's id, or several, as an argument."""
    for text in (value,) if isinstance(value, str) else value:
        if not _ORDER_ID.fullmatch(text):
            raise click.BadParameter(
                f"{text!r} is not an order's id; for a key: soldout order find KEY"
            )
    return value


def read_limit(_context: object, _option: object, value: str | None) -> int | str | None:
    """Read an option as a whole number from 1, or as `none`."""
    if value is None or value == NONE:
        return value
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise click.BadParameter(f"{value!r} is neither a number from 1 nor none")
    return int(value)
