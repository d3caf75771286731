"""What goes wrong; the tree of these errors is drawn at the top of the package."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import msgspec

from service.client.results import Pending


class ClientError(Exception):
    """The root of all errors of this client."""

    key: str | None = None  # of the purchase, where there is one


class Refused(ClientError):
    """The service said no, and nothing was done. Trying again changes nothing by itself."""

    slug: ClassVar[str] = ""

    def __init__(
        self, problem: dict[str, Any], status_code: int, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(detail(problem))
        self.problem = problem
        self.status_code = status_code
        self.retry_after_seconds = retry_after_seconds


class SoldOut(Refused):
    """Not enough tickets are left."""

    slug = "sold-out"

    @property
    def remaining(self) -> int:
        """Tickets that can be sold now: fewer than were asked for."""
        return int(self.problem.get("remaining") or 0)

    @property
    def held(self) -> int:
        """Tickets that others hold, and which may come back."""
        return int(self.problem.get("held") or 0)


class NotOnSale(Refused):
    """Not opened yet, paused or closed."""

    slug = "not-on-sale"

    @property
    def event_status(self) -> str:
        """`scheduled`, `paused` or `closed`."""
        return str(self.problem.get("status", ""))

    @property
    def opens_at(self) -> datetime | None:
        """When the sale opens, where the event says so."""
        return msgspec.convert(self.problem.get("opens_at"), datetime | None)


class BuyerLimit(Refused):
    """More than this buyer may have."""

    slug = "buyer-limit"


class UnknownEvent(Refused):
    """No such event."""

    slug = "unknown-event"


class UnknownTicketType(Refused):
    """The event has no such ticket type."""

    slug = "unknown-ticket-type"


class InvalidRequest(Refused):
    """A well-formed request that breaks a rule."""

    slug = "invalid-request"

    @property
    def errors(self) -> list[Any]:
        """Which field, and why."""
        return list(self.problem.get("errors") or [])


class MalformedRequest(Refused):
    """Not JSON, or a malformed header."""

    slug = "malformed-request"


class KeyReused(Refused):
    """The key names a purchase with another body."""

    slug = "key-reused"


class NotSettled(Refused):
    """No such order. With `retry_after_seconds` it may still be pending; without, it is none."""

    slug = "not-settled"


class NotFound(Refused):
    """Nothing is at this address."""

    slug = "not-found"


class CapacityCommitted(Refused):
    """The capacity asked for is below what is sold and held; nothing changed."""

    slug = "capacity-committed"


class Unauthorized(Refused):
    """The administration's key is needed, and none was sent."""

    slug = "unauthorized"


class Forbidden(Refused):
    """The administration's key that was sent is not the service's."""

    slug = "forbidden"


class Unavailable(ClientError):
    """No usable answer came while patience lasted. Every call is safe to repeat.

    `reached` is False if the request surely never arrived.
    """

    def __init__(
        self, reason: str, retry_after_seconds: float | None = None, *, reached: bool = True
    ) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.reached = reached


class Unsettled(Unavailable):
    """A purchase that may or may not be sold: ask again with the same `key` and the same wishes.

    `pending` is what the service last said of it, if it said anything.
    """

    def __init__(
        self, reason: str, key: str, pending: Pending | None, retry_after_seconds: float | None
    ) -> None:
        sentence = f"it is unknown whether this purchase was sold: {reason}"
        super().__init__(sentence, retry_after_seconds)
        self.key = key
        self.pending = pending


class UnexpectedAnswer(ClientError):
    """What answered does not speak like soldout: another server, a proxy, a page to log in."""

    def __init__(self, reason: str, status_code: int) -> None:
        super().__init__(reason)
        self.status_code = status_code


def detail(problem: dict[str, Any]) -> str:
    """Return a problem's own words."""
    return str(problem.get("detail") or problem.get("title") or problem.get("type"))


REFUSALS = {refusal.slug: refusal for refusal in Refused.__subclasses__()}
