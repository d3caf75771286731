"""How much is left: `GET /remaining`, fresh enough for buyers, cheap for a crowd that reloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from flask import Blueprint
from gevent.lock import Semaphore
from msgspec import Struct

from service.answers import NOT_STORED, Answer, answer
from service.problems import Problem
from service.views import EventStock, to_rfc3339, view_stock
from workers.handoffs.couriers import Carrier
from workers.hearts import clock_ms, wall_ms
from workers.ledgers import LedgerReader

MAX_AGE_MS: Final = 200  # the contract promises 250; the rest is for the way to the client

_encode = msgspec.json.Encoder().encode


class Remaining(Struct):
    """The stock of all events at one moment."""

    as_of: str
    events: list[EventStock]


class _Page(Struct, frozen=True):
    body: bytes
    read_ms: int
    settled: int


class Board:
    """The numbers as last read: not older than MAX_AGE_MS, nor than an answer given here."""

    def __init__(self, reader: LedgerReader, carrier: Carrier) -> None:
        self._reader = reader
        self._carrier = carrier
        self._pages: dict[str, _Page] = {}
        self._one_reads = Semaphore()  # reading Redis lets other greenlets run, which need not read

    def all_events(self) -> bytes:
        """Return `/remaining`, encoded."""
        return self._page("", self._read_all)

    def one_event(self, event_id: str) -> bytes:
        """Return `/remaining/{event}`, encoded. Raises Problem (404)."""
        return self._page(event_id, lambda: self._read_one(event_id))

    def _page(self, name: str, read: Callable[[], bytes]) -> bytes:
        asked = self._carrier.settled
        page = self._fresh(name, asked)
        if page is None:
            with self._one_reads:
                page = self._fresh(name, asked)  # another one may have read it meanwhile
                if page is None:
                    now, settled = clock_ms(), self._carrier.settled
                    page = self._pages[name] = _Page(read(), now, settled)
        return page.body

    def _fresh(self, name: str, settled: int) -> _Page | None:
        page = self._pages.get(name)
        if page and page.settled >= settled and clock_ms() - page.read_ms < MAX_AGE_MS:
            return page
        return None

    def _read_all(self) -> bytes:
        now = wall_ms()
        events = [view_stock(event, now) for event in self._reader.events()]
        return _encode(Remaining(to_rfc3339(now), events))

    def _read_one(self, event_id: str) -> bytes:
        now = wall_ms()
        event = self._reader.event(event_id)
        if event is None:
            raise Problem("unknown-event", f"There is no event {event_id}.")
        stock = view_stock(event, now)
        stock.as_of = to_rfc3339(now)
        return _encode(stock)


def blueprint(board: Board) -> Blueprint:
    """Return the routes of whoever wants to know how much is left."""
    routes = Blueprint("live", __name__)

    @routes.get("/remaining")
    def index() -> Answer:
        return answer(board.all_events(), 200, NOT_STORED)

    @routes.get("/remaining/<event_id>")
    def show(event_id: str) -> Answer:
        return answer(board.one_event(event_id), 200, NOT_STORED)

    return routes
