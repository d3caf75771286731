"""What is on sale: `GET /events`, `GET /events/{id}`."""

from __future__ import annotations

from flask import Blueprint

from service.answers import Answer, answer
from service.problems import Problem
from service.views import Events, view_event
from workers.ledgers import LedgerReader


def blueprint(reader: LedgerReader) -> Blueprint:
    """Return the routes of whoever looks what there is."""
    routes = Blueprint("events", __name__)

    @routes.get("/events")
    def index() -> Answer:
        return answer(Events([view_event(event) for event in reader.events()]))

    @routes.get("/events/<event_id>")
    def show(event_id: str) -> Answer:
        event = reader.event(event_id)
        if event is None:
            raise Problem("unknown-event", f"There is no event {event_id}.")
        return answer(view_event(event))

    return routes
