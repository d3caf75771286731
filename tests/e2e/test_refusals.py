"""Every way a purchase is refused: its status, its problem document, and that nothing was sold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import STANDING, VIP, Visitor, check_problem
from tests.harness import Soldout

BODY_MAX_BYTES = 64 * 1024
TICKETS_MAX = 1_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"event": "x",}',
        b"\xff\xfe{}",
        b'{"event": "\\ud800"}',
    ],
    ids=["empty", "cut", "nonsense", "trailing comma", "not UTF-8", "half a character"],
)
def test_a_body_that_is_not_json_is_malformed(visitor: Visitor, body: bytes) -> None:
    check_problem(visitor.post("/buy", body), 400, "malformed-request")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": "2"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"quantity": [1]}, "quantity"),
        ({"quantity": TICKETS_MAX + 1}, "quantity"),
        ({"quantity": 10**30}, "quantity"),
        ({}, "quantity"),
        ({"quantity": 1, "event": None}, "event"),
        ({"quantity": 1, "event": 7}, "event"),
        ({"quantity": 1, "event": ""}, "event"),
        ({"quantity": 1, "event": "No Such Name"}, "event"),
        ({"quantity": 1, "event": "x" * 65}, "event"),
        ({"quantity": 1, "ticket_type": ""}, "ticket_type"),
        ({"quantity": 1, "ticket_type": None}, "ticket_type"),
        ({"quantity": 1, "buyer": ""}, "buyer"),
        ({"quantity": 1, "buyer": 7}, "buyer"),
        ({"quantity": 1, "buyer": "x" * 255}, "buyer"),
        ({"quantity": 1, "buyer": "ann\nbob"}, "buyer"),
        ({"quantity": 1, "color": "red"}, "color"),
        ({"quantity": 1, "Event": "x"}, "Event"),
        ({"items": []}, "items"),
        ({"items": [{"ticket_type": "vip", "quantity": 1}] * 51}, "items"),
        ({"items": {"vip": 1}}, "items"),
        ({"items": [{"ticket_type": "vip", "quantity": 0}]}, "items[0].quantity"),
        ({"items": [{"quantity": 1}]}, "items[0].ticket_type"),
        ({"items": [{"ticket_type": "vip", "quantity": 1, "seat": 3}]}, "items[0].seat"),
        ({"items": [{"ticket_type": "vip", "quantity": 1}], "quantity": 1}, "items"),
        ({"items": [{"ticket_type": "vip", "quantity": 1}], "ticket_type": "vip"}, "items"),
        ({"items": [{"ticket_type": "vip", "quantity": 1}] * 2}, "items[1].ticket_type"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_a_body_that_breaks_a_rule_says_which_field_and_why(
    visitor: Visitor, event: str, body: dict[str, Any], field: str
) -> None:
    answer = visitor.post("/buy", {"event": event} | body)
    problem = answer.json()
    (error,) = problem["errors"]
    assert error.keys() == {"field", "reason"}
    assert (error["field"], bool(error["reason"])) == (field, True)
    check_problem(answer, 422, "invalid-request", errors=[error])
    assert visitor.stock(event)["sold"] == 0


@pytest.mark.parametrize("start", [b"", b'{"event":', b'{"items":', b'{"color":'])
@pytest.mark.parametrize("opening", [b"[", b'{"x":', b'[{"items":'])
def test_a_body_without_a_bottom_is_refused(visitor: Visitor, start: bytes, opening: bytes) -> None:
    answer = visitor.post("/buy", start + opening * (60_000 // len(opening)))
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("body", ["[]", "7", '"buy"', "null", "true"])
def test_a_body_that_is_no_object_breaks_a_rule(visitor: Visitor, body: str) -> None:
    answer = visitor.post("/buy", body.encode())
    check_problem(answer, 422, "invalid-request", errors=answer.json()["errors"])


def test_more_than_fit_in_one_order_are_refused(
    visitor: Visitor, soldout: Soldout, event: str
) -> None:
    soldout.put_event(event, ticket_types=[STANDING, VIP], max_per_order=4)
    types = [{"ticket_type": t, "quantity": n} for t, n in (("standing", 3), ("vip", 2))]
    for body in ({"quantity": 5, "ticket_type": "standing"}, {"items": types}):
        errors = [{"field": "quantity", "reason": "more than 4 tickets in one order"}]
        answer = visitor.post("/buy", {"event": event} | body)
        check_problem(answer, 422, "invalid-request", errors=errors)
    assert visitor.buy(event, 4, ticket_type="standing")


def test_more_than_one_buyer_may_have_are_refused_over_all_orders(
    visitor: Visitor, admin: Visitor, soldout: Soldout, event: str
) -> None:
    soldout.put_event(event, ticket_types=[STANDING, VIP], max_per_buyer=3)
    first = visitor.buy(event, 2, ticket_type="standing", buyer="ann")
    body = {"event": event, "ticket_type": "vip", "quantity": 2, "buyer": "ann"}
    check_problem(visitor.post("/buy", body), 403, "buyer-limit", max_per_buyer=3, bought=2)
    visitor.buy(event, 3, ticket_type="standing", buyer="bob")
    visitor.buy(event, 1, ticket_type="vip", buyer="ann")
    admin.post(f"/orders/{first['id']}/cancel")
    assert visitor.post("/buy", body).status_code == 201
    nobody = visitor.post("/buy", {"event": event, "ticket_type": "standing", "quantity": 1})
    errors = [{"field": "buyer", "reason": "required: this event limits tickets per buyer"}]
    check_problem(nobody, 422, "invalid-request", errors=errors)


def test_what_does_not_exist_cannot_be_bought(visitor: Visitor, event: str) -> None:
    nowhere = visitor.post("/buy", {"event": "nowhere", "quantity": 1})
    check_problem(nowhere, 404, "unknown-event")
    seated = visitor.post("/buy", {"event": event, "ticket_type": "seated", "quantity": 1})
    check_problem(seated, 404, "unknown-ticket-type")


def test_when_too_few_are_left_the_refusal_says_how_many(visitor: Visitor, event: str) -> None:
    visitor.buy(event, 2, ticket_type="vip")
    answer = visitor.post("/buy", {"event": event, "ticket_type": "vip", "quantity": 2})
    check_problem(answer, 409, "sold-out", ticket_type="vip", remaining=1, held=0)
    assert visitor.buy(event, 1, ticket_type="vip")


def test_what_is_not_on_sale_says_why_and_when(
    visitor: Visitor, admin: Visitor, soldout: Soldout, event: str
) -> None:
    def refused(**members: object) -> None:
        answer = visitor.post("/buy", {"event": event, "ticket_type": "vip", "quantity": 1})
        check_problem(answer, 409, "not-on-sale", **members)

    types = [STANDING, VIP]
    soldout.put_event(event, ticket_types=types, opens_at="2099-11-23T10:00:00+01:00")
    refused(status="scheduled", opens_at="2099-11-23T09:00:00.000Z")
    soldout.put_event(event, ticket_types=types, closes_at="2020-01-01T00:00:00Z")
    refused(status="closed", opens_at=None)
    soldout.put_event(event, ticket_types=types)
    admin.post(f"/events/{event}/pause")
    refused(status="paused", opens_at=None)
    admin.post(f"/events/{event}/close")
    refused(status="closed", opens_at=None)
    admin.post(f"/events/{event}/resume")
    visitor.buy(event, ticket_type="vip")


def test_the_sale_opens_and_closes_by_itself(
    visitor: Visitor, soldout: Soldout, event: str
) -> None:
    """To the millisecond, by the service's clock: nobody is early, and nobody has to open it."""
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as times are told
    opens_at = now + timedelta(seconds=0.5)
    closes_at = opens_at + timedelta(seconds=0.5)
    times = {"opens_at": opens_at.isoformat(), "closes_at": closes_at.isoformat()}
    soldout.put_event(event, ticket_types=[STANDING | {"capacity": 100_000}], **times)
    said = ""
    while said != "closed":
        asked_at = datetime.now(UTC)
        answer = visitor.post("/buy", {"event": event, "quantity": 1})
        answered_at = datetime.now(UTC)
        said = "sold" if answer.status_code == 201 else answer.json()["status"]
        if answered_at < opens_at:
            assert said == "scheduled"
        elif opens_at < asked_at and answered_at < closes_at:
            assert said == "sold"
        elif closes_at < asked_at:
            assert said == "closed"
        if said == "sold":
            sold_at = datetime.fromisoformat(answer.json()["sold_at"])
            assert opens_at - timedelta(milliseconds=1) < sold_at < closes_at


@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
)
def test_a_body_that_is_not_declared_as_json_is_refused(
    visitor: Visitor, small: str, media_type: str | None
) -> None:
    body = json.dumps({"event": small, "quantity": 1}).encode()
    answer = visitor.ask("POST", "/buy", body, {"Content-Type": media_type})
    check_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_may_be_declared_with_parameters(
    visitor: Visitor, small: str, media_type: str
) -> None:
    body = {"event": small, "quantity": 1}
    assert visitor.post("/buy", body, Content_Type=media_type).status_code == 201


def test_a_body_of_64_kib_is_read_and_a_larger_one_is_not(visitor: Visitor, small: str) -> None:
    body = json.dumps({"event": small, "quantity": 1}).encode()
    assert visitor.post("/buy", body.ljust(BODY_MAX_BYTES)).status_code == 201
    for size in (BODY_MAX_BYTES + 1, 99_999, 100_000, 10 * BODY_MAX_BYTES):
        check_problem(visitor.post("/buy", body.ljust(size)), 413, "too-large")
    assert visitor.stock(small)["sold"] == 1


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/buy", {"OPTIONS", "POST"}),
        ("PUT", "/buy", {"OPTIONS", "POST"}),
        ("DELETE", "/remaining", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/events", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/problems/sold-out", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    visitor: Visitor, method: str, path: str, allowed: set[str]
) -> None:
    answer = visitor.ask(method, path)
    told = check_problem(answer, 405, "method-not-allowed")["detail"]
    assert told == f"This address takes {answer.headers['Allow']}, and not {method}."
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/", "/nothing", "/buy/", "/orders", "/events/x/y", "/%2e%2e/"])
def test_where_nothing_is_nothing_is_found(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    if answer.status_code not in (200, 401):  # the live page; the administration's search
        told = check_problem(answer, 404, "not-found")["detail"]
        assert told == "There is nothing at this address."


@pytest.mark.parametrize("page", ["/docs", "/admin"])
def test_a_slash_too_many_leads_to_the_page(visitor: Visitor, page: str) -> None:
    answer = visitor.get(f"{page}/")
    assert (answer.status_code, answer.headers["Location"]) == (308, page)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert visitor.get(page).status_code == 200


def test_there_are_no_holds_yet(visitor: Visitor, small: str) -> None:
    answer = visitor.post("/holds", {"event": small, "quantity": 1, "seconds": 60})
    check_problem(answer, 404, "not-found")
