"""What is on sale: `GET /events`, `GET /events/{id}`."""

from __future__ import annotations

from flask import Blueprint, Response

from service import wire
from service.problems import Problem
from workers.ledgers import LedgerReader


def blueprint(reader: LedgerReader) -> Blueprint:
    """Return the routes of whoever looks what there is."""
    routes = Blueprint("events", __name__)

    @routes.get("/events")
    def index() -> Response:
        return wire.answer({"events": [wire.view_event(event) for event in reader.events()]})

    @routes.get("/events/<event_id>")
    def show(event_id: str) -> Response:
        event = reader.event(event_id)
        if event is None:
            raise Problem("unknown-event", f"There is no event {event_id}.")
        return wire.answer(wire.view_event(event))

    return routes
