"""The administration: events put and switched, orders found, listed, cancelled; audits; workers."""

from __future__ import annotations

import csv
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import MOMENT, STANDING, VIP, Visitor, check_problem
from tests.harness import Soldout

DOORS: list[tuple[str, str, object]] = [
    ("PUT", "/events/{event}", {"capacity": 1}),
    ("POST", "/events/{event}/pause", None),
    ("POST", "/events/{event}/resume", None),
    ("POST", "/events/{event}/close", None),
    ("GET", "/events/{event}/orders", None),
    ("GET", "/events/{event}/audit", None),
    ("GET", "/orders?key=0123456789abcdef", None),
    ("POST", "/orders/5cb2ff1f-2a33-433a-ac6b-e24a6292fd2f/cancel", None),
    ("GET", "/workers", None),
    ("GET", "/events/{event}/curve", None),
    ("GET", "/admin/now", None),
]


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
def test_nobody_comes_in_without_a_key(
    visitor: Visitor, event: str, method: str, path: str, body: object
) -> None:
    before = visitor.get(f"/events/{event}").json()
    for authorization in (None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "test-admin-key"):
        headers = {"Authorization": authorization}
        answer = visitor.ask(method, path.format(event=event), body, headers)
        check_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="soldout"'
    for key in ("wrong-key-of-this-service", "ü" * 16):
        headers = {"Authorization": f"Bearer {key}".encode().decode("latin-1")}
        answer = visitor.ask(method, path.format(event=event), body, headers)
        check_problem(answer, 403, "forbidden")
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="soldout", error=')
    assert visitor.get(f"/events/{event}").json() == before


def test_an_event_is_created_once_and_changed_after_that(admin: Visitor) -> None:
    path = f"/events/e-{secrets.token_hex(6)}"
    body: dict[str, Any] = {"name": "The gala", "ticket_types": [STANDING, VIP]}
    created = admin.put(path, body)
    assert (created.status_code, created.headers["Location"]) == (201, path)
    assert created.json()["ticket_types"] == [STANDING, VIP]
    changed = admin.put(path, body | {"name": "The ball", "max_per_order": 5})
    assert changed.status_code == 200
    assert (
        admin.get(path).json()
        == changed.json()
        == created.json()
        | {
            "name": "The ball",
            "max_per_order": 5,
            "terms": changed.json()["terms"],
        }
    )
    unset = admin.put(path, body)
    assert unset.json() == created.json()  # what is left out is unset again
    assert admin.get(f"{path}/audit").json()["entries"] == 3
    assert admin.put(path, body).status_code == 200
    assert admin.get(f"{path}/audit").json()["entries"] == 3  # nothing changed, nothing written


def test_a_capacity_alone_is_one_ticket_type(admin: Visitor) -> None:
    name = f"e-{secrets.token_hex(6)}"
    found = admin.put(f"/events/{name}", {"capacity": 100}).json()
    assert found["name"] == name
    assert found["ticket_types"] == [
        {"id": "general", "capacity": 100, "price": {"amount": 0, "currency": "XXX"}}
    ]


def test_a_capacity_below_what_is_sold_is_refused_and_changes_nothing(
    admin: Visitor, event: str
) -> None:
    admin.buy(event, 2, ticket_type="vip")
    before = admin.get(f"/events/{event}").json()
    for types, capacity in (([STANDING, VIP | {"capacity": 1}], 1), ([STANDING], 0)):
        answer = admin.put(f"/events/{event}", {"name": "Less", "ticket_types": types})
        check_problem(answer, 409, "capacity-committed", ticket_type="vip", committed=2)
        assert admin.get(f"/events/{event}").json() == before, capacity
    exactly = admin.put(f"/events/{event}", {"ticket_types": [STANDING, VIP | {"capacity": 2}]})
    assert exactly.status_code == 200
    assert admin.stock(event)["ticket_types"][1]["remaining"] == 0


def test_a_larger_capacity_is_for_sale_at_once(admin: Visitor, small: str) -> None:
    admin.buy(small, 3)
    assert admin.put(f"/events/{small}", {"capacity": 5}).status_code == 200
    assert admin.buy(small, 2)["tickets"][0]["number"] == 4


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"capacity": -1},
        {"capacity": 100_000_001},
        {"capacity": "5"},
        {"capacity": 5, "ticket_types": [VIP]},
        {"ticket_types": []},
        {"ticket_types": [VIP, VIP]},
        {"ticket_types": [VIP | {"id": "V I P"}]},
        {"ticket_types": [VIP | {"price": {"amount": -1, "currency": "EUR"}}]},
        {"ticket_types": [VIP | {"price": {"amount": 1, "currency": "euro"}}]},
        {"ticket_types": [VIP, STANDING | {"price": {"amount": 1, "currency": "USD"}}]},
        {"capacity": 5, "opens_at": "tomorrow"},
        {"capacity": 5, "opens_at": "2026-11-23T09:00:00"},
        {"capacity": 5, "opens_at": "2027-01-01T00:00:00Z", "closes_at": "2026-01-01T00:00:00Z"},
        {"capacity": 5, "max_per_order": 0},
        {"capacity": 5, "max_per_buyer": 0},
        {"capacity": 5, "name": ""},
        {"capacity": 5, "venue": "hall"},
    ],
    ids=str,
)
def test_an_event_that_breaks_a_rule_is_refused(
    admin: Visitor, event: str, body: dict[str, Any]
) -> None:
    before = admin.get(f"/events/{event}").json()
    answer = admin.put(f"/events/{event}", body)
    check_problem(answer, 422, "invalid-request", errors=answer.json()["errors"])
    assert admin.get(f"/events/{event}").json() == before


@pytest.mark.parametrize("name", ["UPPER", "a" * 65, "b l a n k", "ü", "a.b", "%00", "a%0a"])
def test_an_event_id_is_of_few_characters(admin: Visitor, name: str) -> None:
    answer = admin.put(f"/events/{name}", {"capacity": 1})
    check_problem(answer, 422, "invalid-request", errors=answer.json()["errors"])
    assert answer.json()["errors"][0]["field"] == "id"


def test_an_event_is_paused_resumed_and_closed(admin: Visitor, small: str) -> None:
    for verb, status in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "on_sale"),
        ("close", "closed"),
        ("close", "closed"),
        ("resume", "on_sale"),
    ):
        answer = admin.post(f"/events/{small}/{verb}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert admin.get(f"/events/{small}").json()["status"] == status
    admin.post(f"/events/{small}/close")
    paused = admin.post(f"/events/{small}/pause")
    check_problem(paused, 409, "not-on-sale", status="closed", opens_at=None)
    check_problem(admin.post("/events/nowhere/pause"), 404, "unknown-event")
    check_problem(admin.post(f"/events/{small}/reopen"), 404, "not-found")


def test_a_cancelled_orders_stock_comes_back_once(admin: Visitor, small: str) -> None:
    order = admin.buy(small, 3)
    for _ in range(3):
        answer = admin.post(f"/orders/{order['id']}/cancel")
        assert (answer.status_code, answer.json()) == (200, order | {"status": "cancelled"})
        assert admin.stock(small)["remaining"] == 3
    assert admin.get(f"/orders/{order['id']}").json()["status"] == "cancelled"
    assert [t["number"] for t in admin.buy(small, 2)["tickets"]] == [4, 5]
    admin.post(f"/orders/{order['id']}/cancel")
    assert admin.stock(small)["sold"] == 2
    audit = admin.get(f"/events/{small}/audit").json()
    assert (audit["consistent"], audit["orders"], audit["tickets"]) == (True, 1, 2)


def test_an_orders_id_is_the_same_in_capitals(admin: Visitor, small: str) -> None:
    order = admin.buy(small)
    shouted = order["id"].upper()
    assert admin.get(f"/orders/{shouted}").json() == order
    cancelled = admin.post(f"/orders/{shouted}/cancel")
    assert (cancelled.status_code, cancelled.json()) == (200, order | {"status": "cancelled"})


def test_what_was_never_sold_cannot_be_cancelled(admin: Visitor) -> None:
    for wanted in (str(uuid.uuid4()), "not-an-id"):
        check_problem(admin.post(f"/orders/{wanted}/cancel"), 404, "not-settled")


def test_an_order_is_found_by_its_key(admin: Visitor, small: str) -> None:
    key = f"key-{secrets.token_hex(8)}"
    order = admin.buy(small, 1, key)
    for form in (key, f'"{key}"'):
        found = admin.session.get(f"{admin.url}/orders", params={"key": form}, timeout=5)
        assert (found.status_code, found.json()) == (200, order)
    check_problem(admin.get("/orders?key=nobody-used-this-key"), 404, "not-settled")
    check_problem(admin.get("/orders?key=short"), 400, "malformed-request")
    nothing = admin.get("/orders")
    check_problem(nothing, 422, "invalid-request", errors=nothing.json()["errors"])


def test_orders_are_listed_in_pages_in_the_order_of_sale(admin: Visitor, event: str) -> None:
    bought = [admin.buy(event, ticket_type="standing") for _ in range(7)]
    listed, path, pages = [], f"/events/{event}/orders?limit=3", 0
    while path:
        answer = admin.get(path)
        listed += answer.json()["orders"]
        pages += 1
        link = answer.links.get("next", {})
        assert ("Link" in answer.headers) == bool(link)
        path = link.get("url", "")
        assert path == "" or path.startswith("/")
    assert (listed, pages) == (bought, 3)
    assert admin.get(f"/events/{event}/orders").json() == {"orders": bought}
    reason = "a whole number from 1; a page has 1000 orders at most"
    for nonsense in ("0", "-1", "x"):
        answer = admin.get(f"/events/{event}/orders?limit={nonsense}")
        errors = [{"field": "limit", "reason": reason}]
        check_problem(answer, 422, "invalid-request", errors=errors)
    assert len(admin.get(f"/events/{event}/orders?limit=999999").json()["orders"]) == 7
    for query in ("after=-1", "after=1.5", "limit=²", "after=" + "9" * 16):
        answer = admin.get(f"/events/{event}/orders?{query}")
        check_problem(answer, 422, "invalid-request", errors=answer.json()["errors"])
    check_problem(admin.get("/events/nowhere/orders"), 404, "unknown-event")


def test_orders_come_as_csv_with_a_line_for_each_ticket(admin: Visitor, event: str) -> None:
    first = admin.buy(event, 2, ticket_type="standing", buyer='=cmd|"x"')
    second = admin.buy(event, 1, ticket_type="vip", buyer="Zoë, Å")
    admin.post(f"/orders/{second['id']}/cancel")
    answer = admin.get(f"/events/{event}/orders", Accept="text/csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f'filename="{event}-orders.csv"' in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(answer.content.decode().splitlines()))
    assert [(row["id"], row["status"], row["number"], row["code"]) for row in rows] == [
        (order["id"], status, str(ticket["number"]), ticket["code"])
        for order, status in ((first, "sold"), (second, "cancelled"))
        for ticket in order["tickets"]
    ]
    assert [row["buyer"] for row in rows] == ['\'=cmd|"x"'] * 2 + ["Zoë, Å"]
    assert {row["ticket_type"] for row in rows} == {"standing", "vip"}


def test_a_csv_of_many_orders_is_whole(admin: Visitor, soldout: Soldout) -> None:
    """Longer than a page of the ledger, and than what is sent at once."""
    soldout.put_event("long-list", capacity=10_000)
    sold = [admin.buy("long-list", 20)["id"] for _ in range(250)]
    rows = admin.get("/events/long-list/orders", Accept="text/csv").text.splitlines()
    assert len(rows) == 1 + 20 * len(sold)
    assert [row.split(",")[0] for row in rows[1::20]] == sold


def test_an_audit_counts_what_stands(admin: Visitor, event: str) -> None:
    cancelled = admin.buy(event, 2, ticket_type="standing")
    admin.buy(event, 3, ticket_type="vip")
    admin.post(f"/orders/{cancelled['id']}/cancel")
    found = admin.get(f"/events/{event}/audit").json()
    assert found["findings"] == []
    expected = {
        "event": event,
        "consistent": True,
        "entries": 4,
        "capacity": 13,
        "sold": 3,
        "held": 0,
        "remaining": 10,
        "orders": 1,
        "tickets": 3,
    }
    assert {name: found[name] for name in expected} == expected
    check_problem(admin.get("/events/nowhere/audit"), 404, "unknown-event")


def test_workers_say_who_they_are_and_what_they_have_done(
    admin: Visitor, soldout: Soldout, event: str
) -> None:
    before = admin.get("/workers").json()["workers"]
    admin.buy(event, ticket_type="vip")
    after = admin.get("/workers").json()["workers"]
    assert sorted(worker["pid"] for worker in after) == sorted(soldout.family()["worker"])
    assert [worker["worker"] for worker in after] == [1, 2]
    for worker in after:
        assert worker.keys() >= {"host", "since", "last_heartbeat", "batches", "purchases"}
        assert MOMENT.fullmatch(worker["since"])
        beat = datetime.fromisoformat(worker["last_heartbeat"])
        assert abs(datetime.now(UTC) - beat) < timedelta(seconds=2)
    done = [sum(worker["purchases"] for worker in workers) for workers in (before, after)]
    assert done[1] > done[0]
