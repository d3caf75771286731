"""Waiting for the result, or not: the `Prefer` header and what a pending purchase is told."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.conftest import MOMENT, Visitor, check_problem
from tests.harness import wait_until

DEADLINE_SECONDS = 30
LAST_COMMIT_SECONDS = 3  # what a worker that looked at the deadline in time may take to commit


def test_who_does_not_wait_is_told_where_the_order_will_be(visitor: Visitor, small: str) -> None:
    key = str(uuid.uuid4())
    body = {"event": small, "quantity": 2}
    answer = visitor.post("/buy", body, Prefer="respond-async", Idempotency_Key=key)
    assert answer.status_code == 202
    pending = answer.json()
    assert pending == {
        "id": str(uuid.UUID(pending["id"])),
        "status": "pending",
        "expires_at": pending["expires_at"],
    }
    assert MOMENT.fullmatch(pending["expires_at"])
    left = datetime.fromisoformat(pending["expires_at"]) - datetime.now(UTC)
    certainly = timedelta(seconds=DEADLINE_SECONDS + LAST_COMMIT_SECONDS)
    assert timedelta(0) < left <= certainly
    where = f"/orders/{pending['id']}"
    assert answer.headers["Location"] == where
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Idempotency-Key"] == f'"{key}"'

    wait_until(lambda: visitor.get(where).status_code == 200, 5, "sold")
    order = visitor.get(where).json()
    assert (order["id"], order["status"], len(order["tickets"])) == (pending["id"], "sold", 2)
    again = visitor.post("/buy", body, Idempotency_Key=key)
    assert (again.status_code, again.json()) == (201, order)


def test_who_does_not_wait_and_brings_no_key_is_given_one_to_ask_again_with(
    visitor: Visitor, small: str
) -> None:
    body = {"event": small, "quantity": 1}
    pending = visitor.post("/buy", body, Prefer="respond-async")
    key = pending.headers["Idempotency-Key"]
    again = visitor.post("/buy", body, Idempotency_Key=key)
    assert (again.status_code, again.json()["id"]) == (201, pending.json()["id"])
    assert visitor.stock(small)["sold"] == 1


def test_a_refusal_of_one_who_did_not_wait_is_heard_by_asking_again(
    visitor: Visitor, small: str
) -> None:
    body = {"event": small, "quantity": 4}
    pending = visitor.post("/buy", body, Prefer="respond-async")
    assert pending.status_code == 202
    again = visitor.post("/buy", body, Idempotency_Key=pending.headers["Idempotency-Key"])
    check_problem(again, 409, "sold-out", ticket_type="general", remaining=3, held=0)
    check_problem(visitor.get(pending.headers["Location"]), 404, "not-settled")


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=3", "wait=3"),
        ("wait=0003", "wait=3"),
        ('wait="3"', "wait=3"),
        ("handling=lenient, wait=3", "wait=3"),
        ("WAIT=3;foo=bar", "wait=3"),
        ("wait=99999", f"wait={DEADLINE_SECONDS}"),
        ("wait=3, respond-async", "respond-async, wait=3"),
        ("Respond-Async", "respond-async"),
    ],
)
def test_an_applied_preference_is_echoed(
    visitor: Visitor, event: str, prefer: str, applied: str
) -> None:
    body = {"event": event, "ticket_type": "standing", "quantity": 1}
    answer = visitor.post("/buy", body, Prefer=prefer)
    assert answer.status_code == (202 if applied == "respond-async" else 201)
    assert answer.headers["Preference-Applied"] == applied


@pytest.mark.parametrize(
    "prefer", ["", "wait", "wait=soon", "wait=-1", "wait=1.5", "return=minimal"]
)
def test_a_preference_that_is_none_of_ours_is_ignored(
    visitor: Visitor, event: str, prefer: str
) -> None:
    body = {"event": event, "ticket_type": "standing", "quantity": 1}
    answer = visitor.post("/buy", body, Prefer=prefer)
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer.headers


def test_a_refusal_says_too_how_long_was_waited(visitor: Visitor, small: str) -> None:
    refused = visitor.post("/buy", {"event": small, "quantity": 9}, Prefer="wait=2")
    assert refused.status_code == 409
    assert refused.headers["Preference-Applied"] == "wait=2"
