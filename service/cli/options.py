"""How options that are numbers, moments or several things in one are read, and refused in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime

import click

_DIGITS = re.compile(r"[0-9]{1,15}")  # of any number that the service could take
_ORDER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NONE = "none"  # typed to take a limit, a time or a ticket type away


class WholeNumber(click.ParamType[int]):
    """A whole number from `least` to `most`."""

    name = "number"

    def __init__(self, least: int, most: int | None = None, of: str = "") -> None:
        self.least, self.most, self.of = least, most, of

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read what was typed."""
        number = int(value) if _DIGITS.fullmatch(str(value)) else None
        if number is None or not _within(number, self.least, self.most):
            wanted = f"a whole number{self.of} {_range(self.least, self.most)}"
            self.fail(f"{value!r} is not {wanted}", param, ctx)
        return number


class Seconds(click.ParamType[float]):
    """A number of seconds from `least` to `most`, with a fraction or without."""

    name = "seconds"

    def __init__(self, least: float = 0, most: float | None = None) -> None:
        self.least, self.most = least, most

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read what was typed."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not _within(number, self.least, self.most):
            wanted = f"a number of seconds {_range(self.least, self.most)}"
            self.fail(f"{value!r} is not {wanted}", param, ctx)
        return number


def _within(number: float, least: float, most: float | None) -> bool:
    return least <= number and (most is None or number <= most)


def _range(least: float, most: float | None) -> str:
    return f"from {least}" if most is None else f"from {least} to {most}"


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
    if not (_DIGITS.fullmatch(value) and int(value) > 0):
        raise click.BadParameter(f"{value!r} is neither a whole number from 1 nor none")
    return int(value)
