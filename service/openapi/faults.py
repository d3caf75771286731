"""Every kind of problem as a schema with its own members, and an example of what would be said.

`service/problems.py` has the kinds; what is added here are the members and who may meet them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from service import wire
from service.openapi.examples import PREMIERE_MS
from service.openapi.words import Header
from service.problems import KINDS, Problem, document, in_our_words
from service.views import Count, Moment
from workers import domain

UriReference = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]


class FieldError(Struct):
    """A field that breaks a rule, and why; an empty field is the body as a whole."""

    field: str
    reason: str


MEMBERS: Final[dict[str, list[tuple[str, Any]]]] = {
    "buyer-limit": [("max_per_buyer", int), ("bought", Count)],
    "capacity-committed": [("ticket_type", str), ("committed", Count)],
    "invalid-request": [("errors", list[FieldError])],
    "not-on-sale": [("status", domain.Status), ("opens_at", Moment | None)],
    "sold-out": [("ticket_type", str), ("remaining", Count), ("held", Count)],
}

# Who asks for what. Any request may be cut, too long, or meet a fault.
ANY: Final = ("malformed-request", "address-too-long", "headers-too-large", "internal-error")
IN_A_PATH: Final = ("not-found",)  # a %2F leads elsewhere
WITH_A_BODY: Final = (
    "request-timeout",
    "too-large",
    "unsupported-media-type",
    "invalid-request",
)
FOR_ADMINS: Final = ("unauthorized", "forbidden")
READS: Final = ("unavailable",)
HANDS_OVER: Final = ("overloaded", "unavailable")

RETRY_AFTER: Final = Header(
    "Retry-After", Annotated[int, Meta(ge=0)], "Seconds to wait before asking again.", "1"
)
WWW_AUTHENTICATE: Final = Header(
    "WWW-Authenticate", str, "How to prove to be the administration.", 'Bearer realm="soldout"'
)
ALLOW: Final = Header("Allow", str, "The methods of this address.", "GET, HEAD, OPTIONS")
HEADERS: Final[dict[str, Header]] = {
    "unauthorized": WWW_AUTHENTICATE,
    "forbidden": WWW_AUTHENTICATE,
    "method-not-allowed": ALLOW,
    "not-settled": RETRY_AFTER,
    "overloaded": RETRY_AFTER,
    "unavailable": RETRY_AFTER,
}

# What is said of them, in the service's own words where it finds them at run time.
_SAID: Final[dict[str, tuple[Problem, str]]] = {
    "malformed-request": (
        Problem("malformed-request", "The body is not JSON: Input data was truncated"),
        "/buy",
    ),
    "unauthorized": (Problem("unauthorized", "Send Authorization: Bearer <key>."), "/workers"),
    "forbidden": (Problem("forbidden", "This is not a key of this service."), "/workers"),
    "buyer-limit": (wire.to_problem(domain.BuyerLimit(4, 3)), "/buy"),
    "not-found": (Problem("not-found", "There is no such kind of problem."), "/problems/rain"),
    "unknown-event": (wire.to_problem(domain.UnknownEvent("ball")), "/buy"),
    "unknown-ticket-type": (wire.to_problem(domain.UnknownTicketType("gala", "box")), "/buy"),
    "not-settled": (
        Problem("not-settled", "No order has this id, or not yet."),
        "/orders/01936b5e-77c8-8f3a-a3c0-1f4e5d6c7b8a",
    ),
    "method-not-allowed": (
        Problem(
            "method-not-allowed",
            in_our_words("method-not-allowed", "DELETE", ["OPTIONS", "POST"]),
        ),
        "/buy",
    ),
    "request-timeout": (
        Problem("request-timeout", f"No whole body within {wire.BODY_SECONDS:g} s."),
        "/buy",
    ),
    "sold-out": (wire.to_problem(domain.SoldOut("vip", 2, 0)), "/buy"),
    "not-on-sale": (wire.to_problem(domain.NotOnSale("scheduled", PREMIERE_MS)), "/buy"),
    "capacity-committed": (
        wire.to_problem(domain.CapacityCommitted("general", 2, 7)),
        "/events/recital",
    ),
    "too-large": (Problem("too-large", in_our_words("too-large", "POST", [])), "/buy"),
    "address-too-long": (
        Problem(
            "address-too-long", "This is not a request: Request Line is too large (5021 > 4094)"
        ),
        "",
    ),
    "headers-too-large": (
        Problem("headers-too-large", "This is not a request: limit request headers fields size"),
        "",
    ),
    "unsupported-media-type": (
        Problem("unsupported-media-type", "Send Content-Type: application/json."),
        "/buy",
    ),
    "invalid-request": (wire.invalid("quantity", "at least 1"), "/buy"),
    "key-reused": (wire.to_problem(domain.KeyReused()), "/buy"),
    "internal-error": (Problem("internal-error", "See the service's log."), "/events"),
    "overloaded": (
        Problem("overloaded", "2000 purchases are under way in this process already"),
        "/buy",
    ),
    "unavailable": (wire.to_problem(domain.Unsettled("")), "/buy"),
}


def problem_type(slug: str) -> type[Struct]:
    """Return the struct that a problem document of this kind is."""
    kind = KINDS[slug]
    members: dict[str, Any] = {
        "type": _always(str, f"/problems/{slug}"),
        "title": str,
        "status": _always(int, kind.status),
        "detail": str,
        "instance": UriReference,
        **dict(MEMBERS.get(slug, [])),
    }
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = list(members.items())
    if slug == "unavailable":
        fields.append(("reasons", list[str] | UnsetType, UNSET))  # of /readyz
    return msgspec.defstruct(
        problem_name(slug), fields, namespace={"__doc__": f"{kind.meaning} {kind.cure}"}
    )


def problem_name(slug: str) -> str:
    """Return the name of a problem's schema: `SoldOutProblem`."""
    return "".join(word.capitalize() for word in slug.split("-")) + "Problem"


def problem_example(slug: str) -> dict[str, Any]:
    """Return a problem document of this kind, as the service would write it."""
    problem, path = _SAID[slug]
    found: dict[str, Any] = msgspec.json.decode(
        document(slug, problem.detail, path, **problem.members)
    )
    return found


def _always(kind: type, value: object) -> Any:
    return Annotated[kind, Meta(extra_json_schema={"const": value})]
