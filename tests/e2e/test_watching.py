"""For who runs it or reads its errors: health, problem pages, headers that keep browsers safe."""

from __future__ import annotations

import html
import re

import pytest

from tests.e2e.conftest import Visitor, check_problem
from tests.harness import Soldout

SLUGS = [  # all that the contract names, and what follows from HTTP
    *("malformed-request", "unauthorized", "forbidden", "buyer-limit", "not-found"),
    *("unknown-event", "unknown-ticket-type", "not-settled", "method-not-allowed", "sold-out"),
    *("not-on-sale", "capacity-committed", "too-large", "unsupported-media-type"),
    *("invalid-request", "key-reused", "internal-error", "overloaded", "unavailable"),
]


def test_it_lives_and_can_sell(visitor: Visitor) -> None:
    alive = visitor.get("/healthz")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    ready = visitor.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


def test_asking_whether_it_can_sell_sells_nothing(visitor: Visitor, small: str) -> None:
    before = visitor.stock(small) | {"as_of": ""}
    for _ in range(20):
        assert visitor.get("/readyz").status_code == 200
    assert visitor.stock(small) | {"as_of": ""} == before


@pytest.mark.parametrize("slug", SLUGS)
def test_each_problem_has_a_page_that_explains_it(visitor: Visitor, slug: str) -> None:
    page = visitor.get(f"/problems/{slug}")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"/problems/{slug}" in page.text
    assert f'href="/problems/{slug}"' in visitor.get("/problems/").text


def test_a_problem_is_titled_as_its_page(visitor: Visitor, small: str) -> None:
    for answer in (
        visitor.get("/nothing"),
        visitor.get("/workers"),
        visitor.post("/buy", {"event": small, "quantity": 9}),
        visitor.post("/buy", b"{"),
    ):
        problem = answer.json()
        heading = re.search("<h1>(.*)</h1>", visitor.get(problem["type"]).text)
        assert heading is not None
        assert html.unescape(heading[1]) == problem["title"]


def test_a_problem_that_is_none_has_no_page(visitor: Visitor) -> None:
    check_problem(visitor.get("/problems/nonsense"), 404, "not-found")


def test_every_answer_keeps_browsers_from_guessing_and_framing(
    visitor: Visitor, admin: Visitor, small: str
) -> None:
    answers = [
        visitor.get("/healthz"),
        visitor.get("/remaining"),
        visitor.get("/events"),
        visitor.get("/nothing"),
        visitor.get("/problems/"),
        visitor.get("/problems/sold-out"),
        visitor.get("/workers"),
        visitor.ask("DELETE", "/buy"),
        visitor.ask("HEAD", "/remaining"),
        visitor.post("/buy", {"event": small, "quantity": 1}),
        visitor.post("/buy", {"event": small, "quantity": 9}),
        visitor.post("/buy", b" " * 70_000),
        admin.get(f"/events/{small}/orders"),
        admin.get(f"/events/{small}/orders", Accept="text/csv"),
        admin.get(f"/events/{small}/audit"),
    ]
    for answer in answers:
        assert answer.headers.get("X-Content-Type-Options") == "nosniff", answer.request.url
        policy = answer.headers.get("Content-Security-Policy", "")
        assert "default-src 'none'" in policy, answer.request.url
        assert "frame-ancestors 'none'" in policy
        assert "Set-Cookie" not in answer.headers


def test_what_is_a_buyers_own_is_not_stored_on_the_way(
    visitor: Visitor, admin: Visitor, small: str
) -> None:
    order = visitor.post("/buy", {"event": small, "quantity": 1})
    for answer in (
        order,
        visitor.get(order.headers["Location"]),
        visitor.post("/buy", {"event": small, "quantity": 1}, Prefer="respond-async"),
        admin.get(f"/events/{small}/orders"),
        admin.get(f"/events/{small}/orders", Accept="text/csv"),
        admin.post(f"{order.headers['Location']}/cancel"),
    ):
        assert answer.headers["Cache-Control"] == "no-store", answer.request.url


def test_nothing_was_wrong_with_the_service_in_all_this(soldout: Soldout) -> None:
    assert "Traceback" not in soldout.log()
