"""What the operator of a sale looks at: `GET /admin/now`, an event's `curve`."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

import msgspec
from flask import Blueprint, request

from service.answers import NOT_STORED, Answer, answer, packable
from service.curves import POINTS_DEFAULT, POINTS_MAX, Curves
from service.now import Watch
from service.problems import Problem
from service.query import read_number
from workers.ledgers import LedgerReader

POINTS_MIN: Final = 10
PACKING: Final = 1  # a tenth of the bytes in half a millisecond; more of it takes longer for little

Recent = Callable[[str, Callable[[], bytes]], bytes]

_encode = msgspec.json.Encoder().encode


def blueprint(
    watch: Watch, reader: LedgerReader, recent: Recent, check_admin: Callable[[str | None], None]
) -> Blueprint:
    """Return the routes of operators; `recent` keeps for a moment what several of them look at."""
    routes = Blueprint("office", __name__)
    curves = Curves(reader)

    @routes.before_request
    def authorize() -> None:
        check_admin(request.headers.get("Authorization"))

    def look() -> bytes:
        return _encode(watch.now())

    @routes.get("/admin/now")
    def now() -> Answer:
        return packable(
            lambda: recent("/admin/now", look),
            lambda: recent("/admin/now packed", lambda: gzip.compress(look(), PACKING)),
            NOT_STORED,
        )

    @routes.get("/events/<event_id>/curve")
    def curve(event_id: str) -> Answer:
        points = min(max(read_number("points", POINTS_DEFAULT), POINTS_MIN), POINTS_MAX)
        found = curves.draw(event_id, points)
        if found is None:
            raise Problem("unknown-event", f"There is no event {event_id}.")
        return answer(found, 200, NOT_STORED)

    return routes
