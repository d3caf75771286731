"""An event's sale as a curve over time, from its journal: there after every restart, of all hosts.

Of every so many tickets one is looked at, at most as many as points are asked for, so that a curve
costs the same with a hundred orders and with millions. When a ticket was sold never changes: who
looks again and again reads only what is new.
"""

from __future__ import annotations

from typing import Final

import gevent
from msgspec import Struct

from service.views import Count, Moment, to_rfc3339
from workers.domain import Entry, Event, TicketsSold
from workers.hearts import wall_ms
from workers.ledgers import LedgerReader

POINTS_DEFAULT: Final = 200
POINTS_MAX: Final = 1_000
SLICE: Final = 64  # sales read before everybody else gets a turn; a millisecond
KEPT_MAX: Final = 20_000  # points of all events, some six megabytes


class Point(Struct, frozen=True):
    """So many tickets had been sold by then, those cancelled since included."""

    at: Moment
    issued: Count


class Curve(Struct):
    """The sale so far. `issued` counts every ticket ever sold; `sold` those that stand."""

    event: str
    as_of: Moment
    capacity: Count
    sold: Count
    issued: Count
    points: list[Point]


class Curves:
    """Draws curves from the ledger, and keeps their points."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self._kept: dict[tuple[str, int], Point] = {}  # by event and ticket; oldest first

    def draw(self, event_id: str, points: int) -> Curve | None:
        """Return the curve of an event with up to `points` points, the first sale among them."""
        as_of = to_rfc3339(wall_ms())
        event = self._reader.event(event_id)
        if event is None:
            return None
        return Curve(
            event=event.id,
            as_of=as_of,
            capacity=sum(t.capacity for t in event.ticket_types),
            sold=sum(t.sold for t in event.ticket_types),
            issued=event.next_number - 1,
            points=self._points(event, points),
        )

    def _points(self, event: Event, most: int) -> list[Point]:
        issued = event.next_number - 1
        if not issued:
            return []
        lasting = {1, *choose(issued, most - 2)}
        wanted = sorted(lasting | {issued})
        found = {n: self._kept[event.id, n] for n in wanted if (event.id, n) in self._kept}
        missing = [n for n in wanted if n not in found]
        for start in range(0, len(missing), SLICE):
            if start:
                gevent.sleep(0)
            found |= self._read(event.id, missing[start : start + SLICE])
        self._keep({(event.id, n): found[n] for n in missing if n in lasting and n in found})
        points = (found[n] for n in wanted if n in found)
        return list(dict.fromkeys(points))  # an order of several tickets is one point

    def _read(self, event_id: str, tickets: list[int]) -> dict[int, Point]:
        """Return by their numbers how far the sale was with the orders of these tickets."""
        sold_in = dict(self._reader.tickets_at(event_id, tickets))
        entries = self._reader.entries_at(event_id, sorted(set(sold_in.values())))
        points = {entry.number: _point(entry) for entry in entries}
        return {n: point for n, entry in sold_in.items() if (point := points.get(entry))}

    def _keep(self, read: dict[tuple[str, int], Point]) -> None:
        self._kept |= read
        for key in list(self._kept)[: max(0, len(self._kept) - KEPT_MAX)]:
            del self._kept[key]


def choose(tickets: int, most: int) -> range:
    """Return numbers of tickets, evenly, at most so many, and of a longer sale the same ones."""
    stride = 1
    while tickets // stride > most:
        stride *= 2
    return range(stride, tickets + 1, stride)


def _point(entry: Entry) -> Point | None:
    """Return how far the sale was with an entry; None if it sold nothing."""
    if not isinstance(entry.fact, TicketsSold):
        return None
    quantity = sum(item.quantity for item in entry.fact.items)
    return Point(to_rfc3339(entry.at_ms), entry.fact.first_number - 1 + quantity)
