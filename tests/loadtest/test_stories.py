"""Clients take down what they are told, and notice what the contract does not allow."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec.structs import replace as but

from loadtest.stories import Answer, Count, Look, Purchase, Record, hear, read_look
from tests.loadtest.samples import SINGLE, look, purchase, refused, sold

ORDER = msgspec.json.encode(SINGLE)
PENDING = b'{"id": "order-1", "status": "pending", "expires_at": "2026-11-23T09:00:30.000Z"}'
SOON = {"Retry-After": "1"}


def problem(slug: str) -> bytes:
    return json.dumps({"type": f"/problems/{slug}", "title": slug}).encode()


def heard(
    status: int, content: bytes, headers: dict[str, str] | None = None, early: bool = False
) -> Answer:
    answer = Answer(early=early)
    hear(answer, status, headers or {}, content)
    return answer


def test_a_refusal_is_heard_with_what_was_left_and_when() -> None:
    left = {"type": "/problems/sold-out", "ticket_type": "vip", "remaining": 2, "held": 1}
    purchase_of_ann = purchase("ann", {"vip": 3})
    answer = purchase_of_ann.ask()
    hear(answer, 409, {}, json.dumps(left).encode())
    assert (answer.ticket_type, answer.remaining, answer.held) == ("vip", 2, 1)
    assert 0 < answer.asked_at <= answer.heard_at < float("inf")


@pytest.mark.parametrize(
    ("answer", "outcome", "certain_no"),
    [
        (heard(201, ORDER), "sold", False),
        (heard(201, ORDER, {"Idempotent-Replayed": "true"}), "replayed", False),
        (heard(202, PENDING, SOON), "pending", False),
        (heard(409, problem("sold-out")), "sold-out", True),
        (heard(409, problem("not-on-sale"), early=True), "not-on-sale", True),
        (heard(503, problem("overloaded"), SOON), "overloaded", False),
        (heard(503, problem("unavailable"), SOON), "unavailable", False),
        (Answer(), "no answer", False),
    ],
)
def test_what_the_contract_allows_is_no_fault(
    answer: Answer, outcome: str, certain_no: bool
) -> None:
    assert answer.fault == ""
    assert answer.outcome == outcome
    assert answer.refused is certain_no


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (heard(202, PENDING), "202 without Retry-After"),
        (heard(503, problem("overloaded")), "503 without Retry-After"),
        (heard(503, problem("out-of-order"), SOON), "unexpected answer 503 out-of-order"),
        (heard(409, problem("not-on-sale")), "unexpected answer 409 not-on-sale"),
        (heard(409, problem("held")), "unexpected answer 409 held"),
        (heard(404, problem("unknown-event")), "unexpected answer 404 unknown-event"),
        (heard(422, problem("key-reused")), "unexpected answer 422 key-reused"),
        (heard(500, problem("internal-error")), "unexpected answer 500 internal-error"),
        (heard(500, b"<html>"), "500 with a body we cannot read"),
        (heard(201, b'{"id": "order-1"}'), "201 with a body we cannot read"),
        (heard(202, b"[]", SOON), "202 with a body we cannot read"),
    ],
)
def test_what_the_contract_does_not_allow_is_a_fault(answer: Answer, fault: str) -> None:
    assert answer.fault.startswith(fault)


def test_an_order_is_taken_down_whole() -> None:
    answer = heard(201, ORDER)
    assert answer.order == SINGLE
    assert heard(202, PENDING, SOON).pending_id == "order-1"
    assert heard(202, PENDING, SOON).retry_after_seconds == 1


@pytest.mark.parametrize(
    ("answers", "in_doubt"),
    [
        ([], False),
        ([Answer()], True),
        ([refused()], False),
        ([Answer(), refused()], True),
        ([refused(), Answer(status=503)], True),
        ([Answer(status=202)], True),
        ([Answer(), sold(SINGLE)], False),
    ],
)
def test_a_purchase_is_in_doubt_while_a_request_of_it_may_have_sold(
    answers: list[Answer], in_doubt: bool
) -> None:
    assert purchase("ann", {"standing": 1}, *answers).in_doubt is in_doubt


def test_a_client_killed_while_it_asks_leaves_a_request_without_an_answer() -> None:
    wish = Purchase("key", {"quantity": 1}, {"standing": 1})
    wish.ask()
    assert [answer.outcome for answer in wish.answers] == ["no answer"]
    assert wish.in_doubt


def test_who_asks_again_after_a_sale_is_known_to_have_had_the_order() -> None:
    wish = purchase("ann", {"standing": 1}, sold(SINGLE))
    assert wish.ask().after_sale


def test_a_look_reads_our_event_among_others() -> None:
    counts = {"capacity": 3, "sold": 1, "held": 0, "remaining": 2}
    entry = {"event": "rush", **counts, "ticket_types": [{"ticket_type": "standing", **counts}]}
    page = {"as_of": "2026-11-23T09:00:00.000Z", "events": [{"event": "gala"}, entry]}
    seen = read_look(200, json.dumps(page).encode(), "rush", asked_at=5.0)
    shown = Look(3, 1, 0, 2, (Count("standing", 3, 1, 0, 2),), "2026-11-23T09:00:00.000Z")
    assert seen == but(shown, asked_at=5.0, heard_at=seen.heard_at)


@pytest.mark.parametrize(
    ("status", "content", "fault"),
    [
        (500, b"", "GET /remaining answered 500"),
        (200, b"<html>", "GET /remaining does not show rush"),
        (200, b'{"as_of": "", "events": []}', "GET /remaining does not show rush"),
        (200, b'{"as_of": "", "events": [{"event": "rush", "sold": "many"}]}', "GET /remaining"),
    ],
)
def test_a_look_that_shows_nothing_of_us_is_a_fault(
    status: int, content: bytes, fault: str
) -> None:
    assert read_look(status, content, "rush").fault.startswith(fault)


def test_stories_reach_the_master_as_they_were_told() -> None:
    told = Record([purchase("ann", {"standing": 1}, Answer(), sold(SINGLE))], [look(1, 0)])
    whole = Record()
    whole.add(msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=Record))
    assert whole == told
