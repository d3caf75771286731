"""What is kept of an event's CSV where one buyer's orders are asked for: head and their lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from service.spreadsheets import plain


def lines_of_buyer(pieces: Iterable[bytes], buyer: str) -> Iterator[bytes]:
    """Yield the head and the lines of one buyer, as they came."""
    written = plain(buyer)
    lines = _lines(pieces)
    head = next(lines)
    yield head
    column = _cells(head).index("buyer")
    yield from (line for line in lines if _cells(line)[column] == written)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; no cell has a line's end in it, since no name may hold one."""
    begun = b""
    for piece in pieces:
        *whole, begun = (begun + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)


def _cells(line: bytes) -> list[str]:
    return next(csv.reader(io.StringIO(line.decode(), newline="")))
