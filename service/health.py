"""For whoever watches: `GET /healthz` (this process lives), `GET /readyz` (it can sell)."""

from __future__ import annotations

from typing import Final

from flask import Blueprint
from gevent.lock import Semaphore

from service.answers import Answer, answer
from service.desk import Desk
from service.problems import Problem
from service.views import Health
from workers.domain import Outcome, Probed, Unsettled
from workers.errors import Overloaded, Unavailable
from workers.hearts import clock_ms

PROBE_SECONDS: Final = 1.0  # a service that needs longer for nothing is not ready
SAME_ANSWER_MS: Final = 250  # a probe is a real write with a real fsync: who asks often shares one
NOBODY_ANSWERED: Final = f"no worker answered within {PROBE_SECONDS:g} s"


class Readiness:
    """The last probe of workers and ledger; one is under way at a time, however many ask."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._one_asks = Semaphore()
        self._reasons: list[str] = []
        self._asked_ms = -SAME_ANSWER_MS

    def reasons(self) -> list[str]:
        """Return why no purchase could be made now; nothing if one could."""
        with self._one_asks:
            if clock_ms() - self._asked_ms >= SAME_ANSWER_MS:
                self._reasons = self._probe()
                self._asked_ms = clock_ms()
            return self._reasons

    def _probe(self) -> list[str]:
        try:
            answers = [_why_not(outcome) for outcome in self._desk.probe(PROBE_SECONDS)]
        except Overloaded:  # a full house sells, and must not be taken out of the line
            return []
        except Unavailable as fault:
            return self._desk.faults or [str(fault)]
        found = {reason for reasons in answers for reason in reasons}
        if found and self._desk.faults:  # that is why nobody answered
            found = found - {NOBODY_ANSWERED} | set(self._desk.faults)
        return sorted(found)


def _why_not(outcome: Outcome | None) -> list[str]:
    match outcome:
        case Probed():
            return []
        case Unsettled():
            return ["the ledger cannot be written"]
        case _:
            return [NOBODY_ANSWERED]


def blueprint(readiness: Readiness) -> Blueprint:
    """Return the routes of whoever watches."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Answer:
        return answer(Health("alive"))

    @routes.get("/readyz")
    def readyz() -> Answer:
        if reasons := readiness.reasons():
            raise Problem("unavailable", "; ".join(reasons), reasons=reasons)
        return answer(Health("ready"))

    return routes
