"""How much is left: `GET /remaining`, fresh enough for buyers, cheap for a crowd that reloads.

`GET /remaining/stream` tells who stays every change; `streams.py` does the telling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from flask import Blueprint, request
from gevent.event import Event as Signal
from msgspec import Struct

from service.answers import NOT_STORED, SECURITY, Answer, answer
from service.problems import Problem
from service.streams import Streams
from service.views import EventStock, to_rfc3339, view_stock
from workers.hearts import clock_ms, wall_ms
from workers.ledgers import LedgerReader

MAX_AGE_MS: Final = 200  # the contract promises 250; the rest is for the way to the client
STREAM_HEADERS: Final = [
    ("Content-Type", "text/event-stream; charset=utf-8"),
    NOT_STORED,
    ("X-Accel-Buffering", "no"),  # nginx would keep it all back
    *SECURITY,
]

_encode = msgspec.json.Encoder().encode


class Remaining(Struct):
    """The stock of all events at one moment."""

    as_of: str
    events: list[EventStock]


class _Page(Struct, frozen=True):
    body: bytes
    read_ms: int
    settled: int


class _Look:
    """A read that is under way. Whoever wants to know the same waits for it."""

    def __init__(self, settled: int) -> None:
        self.settled = settled
        self.over = Signal()
        self.page: _Page | None = None
        self.fault: Exception | None = None


class Board:
    """The numbers as last read, not older than MAX_AGE_MS; `settled` grows with every answer."""

    def __init__(self, reader: LedgerReader, settled: Callable[[], int]) -> None:
        self._reader = reader
        self._settled = settled
        self._pages: dict[str, _Page] = {}
        self._looks: dict[str, _Look] = {}  # under way, one a name: a slow one holds up no other

    def all_events(self) -> bytes:
        """Return `/remaining`, encoded."""
        return self.fresh("/remaining", self._read_all)

    def one_event(self, event_id: str) -> bytes:
        """Return `/remaining/{event}`, encoded. Raises Problem (404)."""
        return self.fresh(f"/remaining/{event_id}", lambda: self._read_one(event_id))

    def fresh(self, name: str, read: Callable[[], bytes]) -> bytes:
        """Return what stands under a name, such as a path: not older than an answer that counts."""
        return self._look_up(name, read, self._settled())

    def recent(self, name: str, read: Callable[[], bytes]) -> bytes:
        """Return what stands under a name: not made anew for each sale, as it costs too much."""
        return self._look_up(name, read, 0)

    def _look_up(self, name: str, read: Callable[[], bytes], asked: int) -> bytes:
        page = self._known(name, asked)
        begun_before = self._looks.get(name)
        while page is None and (look := self._looks.get(name)):  # Redis lets other greenlets run
            look.over.wait()
            if look.fault and look.settled >= asked:
                raise look.fault
            # One that began after the question is as good as a look of one's own.
            page = self._known(name, asked) if look is begun_before else look.page
        return (page or self._read(name, read)).body

    def _read(self, name: str, read: Callable[[], bytes]) -> _Page:
        now, settled = clock_ms(), self._settled()
        look = self._looks[name] = _Look(settled)
        try:
            look.page = self._pages[name] = _Page(read(), now, settled)
            return look.page
        except Exception as fault:
            look.fault = fault
            raise
        finally:
            del self._looks[name]
            look.over.set()

    def _known(self, name: str, settled: int) -> _Page | None:
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


def blueprint(board: Board, streams: Streams) -> Blueprint:
    """Return the routes of whoever wants to know how much is left."""
    routes = Blueprint("live", __name__)

    @routes.get("/remaining")
    def index() -> Answer:
        return answer(board.all_events(), 200, NOT_STORED)

    @routes.get("/remaining/stream")
    def stream() -> Answer:
        if request.method != "HEAD" and "gunicorn.socket" not in request.environ:
            raise Problem("unavailable", "Only soldout's own web process can keep a stream open.")
        event = request.args.get("event")
        if event is not None:
            board.one_event(event)  # raises Problem if there is none
        return streams.make_answer(STREAM_HEADERS, request.headers.get("Last-Event-ID", ""), event)

    @routes.get("/remaining/<event_id>")
    def show(event_id: str) -> Answer:
        return answer(board.one_event(event_id), 200, NOT_STORED)

    return routes
