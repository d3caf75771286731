"""Every way a request can fail: its slug, status, title and a page that explains it (RFC 9457)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
from flask import Blueprint, Flask, request
from werkzeug.exceptions import HTTPException

from service.answers import Answer, answer
from service.plain_page import plain_page, render_plain
from workers.complaints import Complaints
from workers.errors import (
    Inconsistent,
    LedgerDamaged,
    NoLedger,
    Overloaded,
    SoldoutError,
    Unavailable,
)
from workers.metrics import FAULTS, Slot

MEDIA_TYPE: Final = "application/problem+json"
SAID_AGAIN_MS: Final = 1_000  # of faults that a whole crowd meets
RETRY_AFTER_SECONDS: Final = 1  # a restart of workers takes less; more would leave stock unsold


class Kind(NamedTuple):
    """One kind of problem, as its page tells it."""

    status: int
    title: str
    meaning: str
    cure: str


_SAME_KEY = (
    "Nothing is lost: send the same body with the same Idempotency-Key again after Retry-After"
    " seconds. If it was sold meanwhile, you get that order; it is never sold twice."
)

KINDS: Final[dict[str, Kind]] = {
    "malformed-request": Kind(
        400,
        "Malformed request",
        "The body is not JSON, or a header cannot be read.",
        "Correct the request; the detail says what could not be read.",
    ),
    "unauthorized": Kind(
        401,
        "Administration key needed",
        "This belongs to the administration, and the request carries no key.",
        "Send Authorization: Bearer followed by the administration's key.",
    ),
    "forbidden": Kind(
        403,
        "Wrong administration key",
        "This belongs to the administration, and the key is not one of its keys.",
        "Send a key of this service; its start prints where the key is kept.",
    ),
    "buyer-limit": Kind(
        403,
        "More than this buyer may have",
        "The event limits tickets per buyer, over all of a buyer's orders.",
        "Ask for fewer tickets; max_per_buyer and bought are in the answer.",
    ),
    "not-found": Kind(404, "Not found", "There is nothing at this address.", "Check the address."),
    "unknown-event": Kind(
        404, "Unknown event", "No event has this id.", "GET /events lists what is on sale."
    ),
    "unknown-ticket-type": Kind(
        404,
        "Unknown ticket type",
        "The event has no such ticket type.",
        "GET /events/{id} lists the event's ticket types.",
    ),
    "not-settled": Kind(
        404,
        "Not settled",
        "No order has this id. It may still be pending; after its expires_at this answer is final.",
        "Ask again after Retry-After seconds, or post the purchase again with the same key.",
    ),
    "method-not-allowed": Kind(
        405, "Method not allowed", "The address exists, but not for this method.", "See Allow."
    ),
    "request-timeout": Kind(
        408,
        "Request timeout",
        "The body did not come to its end in time.",
        "Send it again, under the same Idempotency-Key.",
    ),
    "sold-out": Kind(
        409,
        "Not enough tickets left",
        "Not enough tickets of this type remain; an order is all or nothing.",
        "Ask for as many as remain; those held may come back. The same key may be tried again.",
    ),
    "not-on-sale": Kind(
        409,
        "Not on sale",
        "The event has not opened yet, is paused, or is closed.",
        "status says which; if it is scheduled, it opens at opens_at.",
    ),
    "capacity-committed": Kind(
        409,
        "Capacity is committed",
        "More tickets are sold and held than the capacity asked for. Nothing was changed.",
        "Ask for at least what is committed, or cancel orders first.",
    ),
    "too-large": Kind(
        413, "Body too large", "The body is larger than 64 KiB.", "Send a smaller one."
    ),
    "address-too-long": Kind(
        414, "Address too long", "The request line is longer than 4 KB.", "Shorten it."
    ),
    "headers-too-large": Kind(
        431,
        "Headers too large",
        "A header field is larger than 8 KB, or there are more than 64.",
        "Send fewer or smaller ones.",
    ),
    "unsupported-media-type": Kind(
        415,
        "Unsupported media type",
        "The body is not declared as JSON.",
        "Send Content-Type: application/json.",
    ),
    "invalid-request": Kind(
        422,
        "Invalid request",
        "The body is well-formed, but breaks a rule.",
        "errors says which field and why.",
    ),
    "key-reused": Kind(
        422,
        "Key reused",
        "This Idempotency-Key already names a purchase with another body.",
        "Use a new key for a new purchase, and the same key only to repeat one.",
    ),
    "internal-error": Kind(
        500,
        "Internal error",
        "Something is wrong with the service. It has been logged.",
        _SAME_KEY,
    ),
    "overloaded": Kind(
        503, "Overloaded", "More purchases are under way than can be queued.", _SAME_KEY
    ),
    "unavailable": Kind(
        503, "Unavailable", "The workers or the ledger cannot be reached just now.", _SAME_KEY
    ),
}
_IN_A_PATH: Final = "/:@!$&'()*+,;=~"  # RFC 3986, section 3.3: what needs no percent-encoding
_CONTROLS: Final = dict.fromkeys((*range(32), 127), "?")  # a detail is one line, whatever was asked
_SLUGS_BY_STATUS: Final = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}


class Problem(Exception):
    """A request that fails; what it raises becomes a problem document."""

    def __init__(
        self, slug: str, detail: str, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.headers = headers or {}
        self.members = members

    def response(self) -> Answer:
        """Return the problem document (application/problem+json)."""
        body = document(self.slug, self.detail, request.path, **self.members)
        status = KINDS[self.slug].status
        headers = list(self.headers.items())
        if status == 503 or self.slug == "not-settled":
            headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
        return answer(body, status, *headers, media_type=MEDIA_TYPE)


def document(slug: str, detail: str, path: str, **members: Any) -> bytes:
    """Return a problem document, encoded; `path` is what was asked for."""
    kind = KINDS[slug]
    return msgspec.json.encode(
        {
            "type": f"/problems/{slug}",
            "title": kind.title,
            "status": kind.status,
            "detail": detail if detail.isprintable() else detail.translate(_CONTROLS),
            "instance": quote(path, safe=_IN_A_PATH),
            **members,
        }
    )


UNREADABLE: Final = (
    Unavailable,
    LedgerDamaged,
    Inconsistent,
)  # what a reader of the ledger may meet


def slug_of(error: Exception) -> str:
    """Return the slug of the problem that a request gets which fails so."""
    match error:
        case Problem():
            return error.slug
        case NoLedger():
            return "unknown-event"
        case Overloaded():
            return "overloaded"
        case Unavailable() | LedgerDamaged() | Inconsistent():
            return "unavailable"
        case UnicodeDecodeError():
            return "malformed-request"
        case HTTPException():
            return _SLUGS_BY_STATUS.get(error.code or 500, "internal-error")
        case _:
            return "internal-error"


def in_our_words(slug: str, method: str, methods: list[str]) -> str:
    """Return the detail of what Flask found by itself, and would tell as a library does."""
    if slug == "method-not-allowed":
        return f"This address takes {', '.join(methods)}, and not {method}."
    return KINDS[slug].meaning


def install(app: Flask, slot: Slot | None = None) -> None:
    """Let every failure of this app answer with a problem document, and serve their pages."""
    pages = Blueprint("problems", __name__)

    @pages.get("/problems/")
    def index() -> Answer:
        return plain_page(render_plain("problems.html", kinds=KINDS))

    @pages.get("/problems/<slug>")
    def show(slug: str) -> Answer:
        if slug not in KINDS:
            raise Problem("not-found", "There is no such kind of problem.")
        return plain_page(render_plain("problem.html", slug=slug, kind=KINDS[slug]))

    @app.errorhandler(Problem)
    def on_problem(problem: Problem) -> Answer:
        return problem.response()

    @app.errorhandler(Overloaded)
    def on_overload(fault: Overloaded) -> Answer:
        return Problem("overloaded", str(fault)).response()

    complaints, faults = Complaints(app.logger, SAID_AGAIN_MS), slot or Slot()

    @app.errorhandler(Unavailable)
    def on_unavailable(fault: Unavailable) -> Answer:
        faults.count(FAULTS.of("read"))
        complaints.say("%s", fault)
        return Problem("unavailable", "The ledger cannot be read just now.").response()

    @app.errorhandler(NoLedger)
    def on_no_ledger(_fault: NoLedger) -> Answer:
        return Problem("unknown-event", "There is no event yet.").response()

    @app.errorhandler(LedgerDamaged)
    @app.errorhandler(Inconsistent)
    def on_damage(fault: SoldoutError) -> Answer:
        faults.count(FAULTS.of("read"))
        complaints.say("%s", fault)
        return Problem("unavailable", "The ledger is damaged.").response()

    @app.errorhandler(UnicodeDecodeError)
    def on_no_text(_error: UnicodeDecodeError) -> Answer:
        return Problem("malformed-request", "The address is not UTF-8.").response()

    @app.errorhandler(HTTPException)
    def on_http_error(error: HTTPException) -> Answer:
        slug = _SLUGS_BY_STATUS.get(error.code or 500)
        if slug is None:
            return Problem("internal-error", "See the service's log.").response()
        methods = sorted(getattr(error, "valid_methods", None) or ())
        headers = {"Allow": ", ".join(methods)} if methods else None
        return Problem(slug, in_our_words(slug, request.method, methods), headers).response()

    app.register_blueprint(pages)
