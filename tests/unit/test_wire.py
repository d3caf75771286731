"""Requests as they come over WSGI: what a body means, and what is told about one that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import msgspec
import pytest
from flask import request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import problems, wire
from service.answers import Answer, answer
from service.lean import LeanFlask
from tests.unit.builders import order_id
from workers.domain import (
    BuyerLimit,
    CapacityCommitted,
    Invalid,
    Item,
    KeyReused,
    NotOnSale,
    Order,
    OrderItem,
    Purchase,
    PutEvent,
    Refusal,
    Sold,
    SoldOut,
    TicketType,
    TooLate,
    UnknownEvent,
    UnknownOrder,
    UnknownTicketType,
    Unreached,
    Unsettled,
)

DEADLINE_MS = 12_345
HUGE = "9" * 400
# Unicode's controls of the direction of writing: they show a name as what it is not.
TURNING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))


def short(value: object) -> str:
    """Name a test's case by the beginning of it."""
    return str(value)[:60]


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    """A service that answers with the command it has read."""
    app = LeanFlask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = wire.BODY_MAX_BYTES
    problems.install(app)

    @app.post("/buy")
    def buy() -> Answer:
        return answer(wire.read_purchase(request, order_id(1), DEADLINE_MS))

    @app.put("/events/<event_id>")
    def put_event(event_id: str) -> Answer:
        return answer(wire.read_event(request, event_id, DEADLINE_MS))

    with app.test_client() as client:
        yield client


def bought(client: FlaskClient, body: str) -> Purchase:
    response = client.post("/buy", data=body, content_type="application/json")
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.data, type=Purchase)


def stored(client: FlaskClient, body: str) -> PutEvent:
    response = client.put("/events/gala", data=body, content_type="application/json")
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.data, type=PutEvent)


def post(client: FlaskClient, body: bytes | str, **more: Any) -> TestResponse:
    return client.post("/buy", data=body, **{"content_type": "application/json", **more})


def problem_of(response: TestResponse) -> dict[str, Any]:
    """Return the problem document, which must be one whatever the problem is."""
    assert response.content_type == "application/problem+json"
    document = response.get_json(force=True)
    kind = problems.KINDS[document["type"].removeprefix("/problems/")]
    assert (response.status_code, document["status"]) == (kind.status, kind.status)
    assert document["title"] == kind.title
    assert document["detail"]
    found: dict[str, Any] = document
    return found


def told_invalid(response: TestResponse) -> tuple[str, str]:
    """Return the field and the reason of a body that breaks a rule."""
    document = problem_of(response)
    assert document["type"] == "/problems/invalid-request"
    [error] = document["errors"]
    assert set(error) == {"field", "reason"}
    assert error["reason"] in document["detail"]
    return error["field"], error["reason"]


# --- what bodies mean -----------------------------------------------------------------------------


def test_a_quantity_alone_is_short_for_one_item_of_the_only_type(client: FlaskClient) -> None:
    purchase = bought(client, '{"event": "gala", "quantity": 2}')
    assert purchase.items == [Item(None, 2)]
    assert (purchase.event, purchase.buyer) == ("gala", None)
    assert (purchase.id, purchase.deadline_ms) == (order_id(1), DEADLINE_MS)


def test_a_quantity_may_name_its_ticket_type(client: FlaskClient) -> None:
    body = '{"event": "gala", "quantity": 2, "ticket_type": "box", "buyer": "ann"}'
    purchase = bought(client, body)
    assert purchase.items == [Item("box", 2)]
    assert purchase.buyer == "ann"


def test_items_are_read_in_their_order(client: FlaskClient) -> None:
    items = '[{"ticket_type": "box", "quantity": 1}, {"ticket_type": "standing", "quantity": 2}]'
    purchase = bought(client, f'{{"event": "gala", "items": {items}}}')
    assert purchase.items == [Item("box", 1), Item("standing", 2)]


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ('{"event":"gala","quantity":2,"buyer":"zoë"}', True),
        ('{ "buyer" : "zo\\u00eb",\n "quantity" : 2, "event" : "gala" }', True),
        ('{"event":"gala","quantity":3,"buyer":"zoë"}', False),
        ('{"event":"gala","quantity":2,"buyer":"zoe"}', False),
        ('{"event":"gala","quantity":2}', False),
        ('{"event":"gala","quantity":2,"buyer":"zoë","ticket_type":"box"}', False),
        ('{"event":"opera","quantity":2,"buyer":"zoë"}', False),
    ],
)
def test_a_body_is_the_same_whatever_its_spelling_and_another_if_it_says_else(
    client: FlaskClient, body: str, same: bool
) -> None:
    first = bought(client, '{"event": "gala", "quantity": 2, "buyer": "zoë"}')
    assert (bought(client, body).fingerprint == first.fingerprint) is same


def test_no_buyer_and_a_buyer_that_is_null_are_the_same(client: FlaskClient) -> None:
    without = bought(client, '{"event": "gala", "quantity": 2}')
    null = bought(client, '{"event": "gala", "quantity": 2, "buyer": null}')
    assert without == null


@pytest.mark.parametrize("quantity", [1, 1_000])
def test_the_largest_and_smallest_quantity_are_allowed(client: FlaskClient, quantity: int) -> None:
    assert bought(client, f'{{"event":"a","quantity":{quantity}}}').items == [Item(None, quantity)]


def test_the_longest_event_buyer_and_list_of_items_are_allowed(client: FlaskClient) -> None:
    items = [{"ticket_type": f"{n:064}", "quantity": 1} for n in range(50)]
    body = {"event": "e" * 64, "items": items, "buyer": "ä" * 254}
    assert len(bought(client, msgspec.json.encode(body).decode()).items) == 50


@pytest.mark.parametrize("buyer", ["Zoë\xa0Ångström", "דנה כהן", "山田　太郎", "👩\u200d👧"])
def test_names_of_all_writings_are_allowed(client: FlaskClient, buyer: str) -> None:
    body = {"event": "gala", "quantity": 1, "buyer": buyer}
    assert bought(client, msgspec.json.encode(body).decode()).buyer == buyer


def test_capacity_alone_is_short_for_one_free_type(client: FlaskClient) -> None:
    assert stored(client, '{"capacity": 100}') == PutEvent(
        DEADLINE_MS, "gala", "gala", [TicketType("general", 100, 0, "XXX")]
    )


def test_an_event_says_all_it_is_asked_to(client: FlaskClient) -> None:
    types = (
        '[{"id": "standing", "capacity": 0}, {"id": "box", "capacity": 100000000,'
        ' "price": {"amount": 7500, "currency": "EUR"}}]'
    )
    body = (
        f'{{"name": "Gala ♫", "ticket_types": {types}, "max_per_order": 4, "max_per_buyer": 6,'
        ' "opens_at": "2026-11-23T10:00:00.123+01:00", "closes_at": "2026-11-24T00:00:00Z"}'
    )
    assert stored(client, body) == PutEvent(
        DEADLINE_MS,
        "gala",
        "Gala ♫",
        [TicketType("standing", 0, 0, "EUR"), TicketType("box", 100_000_000, 7_500, "EUR")],
        opens_at_ms=1_795_424_400_123,
        closes_at_ms=1_795_478_400_000,
        max_per_order=4,
        max_per_buyer=6,
    )


# --- bodies that break a rule: 422, and errors name the field -------------------------------------

BUY = '{"event": "gala", "quantity": 1, %s}'
ITEMS = '{"event": "gala", "items": [{"ticket_type": "a", "quantity": 1}, %s]}'
TYPES = '{"ticket_types": [{"id": "a", "capacity": 1}, %s]}'
PRICED = TYPES % '{"id": "b", "capacity": 1, "price": {"amount": %s, "currency": "%s"}}'
TIMED = '{"capacity": 1, "opens_at": "%s", "closes_at": "%s"}'


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("event", "{}"),
        ("event", '{"quantity": 1}'),
        ("event", '{"event": null, "quantity": 1}'),
        ("event", '{"event": 1, "quantity": 1}'),
        ("event", '{"event": "", "quantity": 1}'),
        ("event", '{"event": "Gala", "quantity": 1}'),
        ("event", '{"event": "gala\\n", "quantity": 1}'),
        ("event", '{"event": "gala\\u0000", "quantity": 1}'),
        ("event", '{"event": "gäla", "quantity": 1}'),
        ("event", f'{{"event": "{"e" * 65}", "quantity": 1}}'),
        ("quantity", '{"event": "gala"}'),
        ("quantity", '{"event": "gala", "ticket_type": "box"}'),
        *(
            ("quantity", f'{{"event": "gala", "quantity": {quantity}}}')
            for quantity in ("0", "-1", "1001", "1.5", "1.0", "1e0", '"1"', "true", "null", "[]")
        ),
        ("quantity", '{"event": "gala", "quantity": 18446744073709551617}'),
        ("quantity", f'{{"event": "gala", "quantity": {HUGE}}}'),
        ("quantity", f'{{"event": "gala", "quantity": -{HUGE}}}'),
        ("ticket_type", BUY % '"ticket_type": "No"'),
        ("ticket_type", BUY % '"ticket_type": ""'),
        ("ticket_type", BUY % '"ticket_type": null'),
        ("buyer", BUY % '"buyer": ""'),
        ("buyer", BUY % '"buyer": 7'),
        ("buyer", BUY % f'"buyer": "{"b" * 255}"'),
        ("buyer", BUY % '"buyer": "a\\u0000b"'),
        ("buyer", BUY % '"buyer": "a\\nb"'),
        ("buyer", BUY % '"buyer": "a\\u001fb"'),
        *(
            ("buyer", BUY % f'"buyer": "a\\u{code:04x}b"')
            for code in (0x7F, 0x80, 0x9B, 0x9F, *TURNING)
        ),
        ("colour", BUY % '"colour": "red"'),
        ("Event", BUY % '"Event": "gala"'),
        ("items", BUY % '"items": [{"ticket_type": "a", "quantity": 1}]'),
        (
            "items",
            '{"event": "a", "ticket_type": "b", "items": [{"ticket_type":"b","quantity":1}]}',
        ),
        ("items", '{"event": "gala", "items": []}'),
        ("items", '{"event": "gala", "items": {}}'),
        ("items", '{"event": "gala", "items": null}'),
        ("items", ITEMS % ", ".join(['{"ticket_type": "a", "quantity": 1}'] * 50)),
        ("items[1]", ITEMS % "1"),
        ("items[1].ticket_type", ITEMS % '{"quantity": 1}'),
        ("items[1].ticket_type", ITEMS % '{"ticket_type": null, "quantity": 1}'),
        ("items[1].quantity", ITEMS % '{"ticket_type": "b"}'),
        ("items[1].quantity", ITEMS % '{"ticket_type": "b", "quantity": 0}'),
        ("items[1].price", ITEMS % '{"ticket_type": "b", "quantity": 1, "price": 0}'),
        ("", "[]"),
        ("", "null"),
        ("", '"gala"'),
        ("", "1"),
    ],
    ids=short,
)
def test_a_purchase_that_breaks_a_rule_is_told_which_field_and_why(
    client: FlaskClient, field: str, body: str
) -> None:
    told, reason = told_invalid(post(client, body))
    assert told == field
    assert reason
    assert "matching regex" not in reason


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("", "{}"),
        ("ticket_types", '{"capacity": 1, "ticket_types": [{"id": "a", "capacity": 1}]}'),
        ("ticket_types", '{"ticket_types": []}'),
        ("ticket_types", TYPES % '{"id": "a", "capacity": 2}'),
        ("capacity", '{"capacity": -1}'),
        ("capacity", '{"capacity": 100000001}'),
        ("capacity", '{"capacity": null}'),
        ("capacity", '{"capacity": 1.5}'),
        ("name", '{"capacity": 1, "name": ""}'),
        ("name", '{"capacity": 1, "name": "a\\u0000"}'),
        ("name", '{"capacity": 1, "name": "a\\u202e"}'),
        ("name", f'{{"capacity": 1, "name": "{"n" * 201}"}}'),
        ("sold", '{"capacity": 1, "sold": 0}'),
        ("opens_at", '{"capacity": 1, "opens_at": "2026-11-23T10:00:00"}'),
        ("opens_at", '{"capacity": 1, "opens_at": "2026-11-23"}'),
        ("opens_at", '{"capacity": 1, "opens_at": "soon"}'),
        ("opens_at", '{"capacity": 1, "opens_at": 1795424400}'),
        ("opens_at", '{"capacity": 1, "opens_at": "0001-01-01T00:00:00+01:00"}'),
        ("closes_at", '{"capacity": 1, "closes_at": "9999-12-31T23:59:59-01:00"}'),
        ("closes_at", TIMED % ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00+01:00")),
        ("max_per_order", '{"capacity": 1, "max_per_order": 0}'),
        ("max_per_order", '{"capacity": 1, "max_per_order": 1001}'),
        ("max_per_buyer", '{"capacity": 1, "max_per_buyer": 0}'),
        ("ticket_types[1].id", TYPES % '{"capacity": 1}'),
        ("ticket_types[1].id", TYPES % '{"id": "B", "capacity": 1}'),
        ("ticket_types[1].capacity", TYPES % '{"id": "b"}'),
        ("ticket_types[1].sold", TYPES % '{"id": "b", "capacity": 1, "sold": 0}'),
        ("ticket_types[1].price.tax", PRICED % ("1", 'EUR", "tax": "0')),
        ("ticket_types[1].price", TYPES % '{"id": "b", "capacity": 1, "price": 5}'),
        ("ticket_types[1].price.amount", PRICED % ("-1", "EUR")),
        ("ticket_types[1].price.amount", PRICED % ("1000000000001", "EUR")),
        ("ticket_types[1].price.amount", PRICED % ("9.99", "EUR")),
        ("ticket_types[1].price.currency", PRICED % ("1", "eur")),
        ("ticket_types[1].price.currency", PRICED % ("1", "EURO")),
    ],
    ids=short,
)
def test_an_event_that_breaks_a_rule_is_told_which_field_and_why(
    client: FlaskClient, field: str, body: str
) -> None:
    response = client.put("/events/gala", data=body, content_type="application/json")
    told, reason = told_invalid(response)
    assert told == field
    assert reason


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("{}", "capacity or ticket_types: required"),
        ('{"name": "The gala"}', "capacity or ticket_types: required"),
        (
            TYPES[:-1] % '{"id": "b", "capacity": 1}' + ', "capacity": 5}',
            "ticket_types: not together with capacity",
        ),
    ],
)
def test_an_event_with_nothing_to_sell_and_one_with_too_much_are_told_apart(
    client: FlaskClient, body: str, detail: str
) -> None:
    response = client.put("/events/gala", data=body, content_type="application/json")
    told_invalid(response)
    assert response.json is not None
    assert response.json["detail"] == detail


def test_all_prices_of_an_event_are_in_one_currency(client: FlaskClient) -> None:
    prices = [{"amount": 1, "currency": currency} for currency in ("EUR", "USD")]
    types = [{"id": f"t{n}", "capacity": 1, "price": price} for n, price in enumerate(prices)]
    body = msgspec.json.encode({"ticket_types": types})
    response = client.put("/events/gala", data=body, content_type="application/json")
    assert told_invalid(response)[0] == "ticket_types"


def test_at_most_a_hundred_ticket_types_are_on_sale(client: FlaskClient) -> None:
    types = [{"id": f"t{n}", "capacity": 1} for n in range(101)]
    body = msgspec.json.encode({"ticket_types": types})
    response = client.put("/events/gala", data=body, content_type="application/json")
    assert told_invalid(response)[0] == "ticket_types"
    allowed = msgspec.json.encode({"ticket_types": types[:100]}).decode()
    assert len(stored(client, allowed).ticket_types) == 100


@pytest.mark.parametrize("event_id", ["Gala", "g" * 65, "gala%0A", "g%C3%A4la", "a b", "%ED%A0%80"])
def test_an_event_has_an_id_that_can_be_typed(client: FlaskClient, event_id: str) -> None:
    response = client.put(
        f"/events/{event_id}", data='{"capacity": 1}', content_type="application/json"
    )
    assert told_invalid(response)[0] == "id"


# --- what is no JSON at all: 400 ------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"event": "gala", "quantity": 1',
        b'{"event": "gala", "quantity": 1}}',
        b"{'event': 'gala'}",
        b"event=gala&quantity=1",
        b'{"event": "gala", "quantity": NaN}',
        b'{"event": "gala", "quantity": Infinity}',
        b'{"event": "gala", "quantity": 01}',
        b'{"event": "gala", "quantity": 1,}',
        b'{"event": "gala\n", "quantity": 1}',
        b'{"event": "gala", "quantity": 1, "buyer": "\xff"}',
        b'{"event": "gala", "quantity": 1, "buyer": "\xed\xa0\x80"}',
        b'{"event": "gala", "quantity": 1, "buyer": "\\ud800"}',
        b'{"event": "gala", "quantity": 1, "buyer": "\\ud800 and more"}',
        b'{"event": "gala", "quantity": 1, "buyer": "\\udc00\\ud800"}',
        b'{"event": "gala", "quantity": 1, "buyer": "\\x00"}',
        b'\xef\xbb\xbf{"event": "gala", "quantity": 1}',
        b'{"event": "gala", "quantity": 1}'.decode().encode("utf-16"),
        b"\x00" * 100,
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"[" * 60_000,
        b"0\x01",  # what is wrong in the table's sense is no reason to look no further
        b'{"event": 7, ',
        b'{"colour": "red", "quantity"}',
    ],
    ids=short,
)
def test_what_is_not_json_is_refused_as_malformed(client: FlaskClient, body: bytes) -> None:
    document = problem_of(post(client, body))
    assert document["type"] == "/problems/malformed-request"


@pytest.mark.parametrize("deep", ["[", '{"a":'])
def test_bottomless_nesting_is_refused_and_not_followed(client: FlaskClient, deep: str) -> None:
    """An unknown field is refused before what is in it is read."""
    nested = deep * (60_000 // len(deep))
    for body in (nested, BUY % f'"colour": {nested}', BUY % f'"buyer": {nested}'):
        assert problem_of(post(client, body))["status"] in (400, 422)


def test_a_name_given_twice_counts_as_it_was_given_last(client: FlaskClient) -> None:
    """RFC 8259 leaves it open; what counts is that one body always means the same."""
    assert bought(client, '{"event": "a", "quantity": 1, "quantity": 2}').items == [Item(None, 2)]


# --- headers --------------------------------------------------------------------------------------

GOOD = b'{"event": "gala", "quantity": 1}'


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;",
    ],
)
def test_json_is_declared_in_any_usual_spelling(client: FlaskClient, media_type: str) -> None:
    assert post(client, GOOD, content_type=media_type).status_code == 200


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/problem+json",
        "application/json, text/plain",
    ],
)
def test_a_body_that_is_not_declared_as_json_is_refused(
    client: FlaskClient, media_type: str | None
) -> None:
    """Also for safety: a page elsewhere can make a browser post a form, but not JSON."""
    document = problem_of(post(client, GOOD, content_type=media_type))
    assert document["type"] == "/problems/unsupported-media-type"


def padded(size: int) -> bytes:
    return GOOD + b" " * (size - len(GOOD))


def test_a_body_of_64_kib_is_read_and_a_byte_more_is_too_large(client: FlaskClient) -> None:
    assert post(client, padded(65_536)).status_code == 200
    for size in (65_537, 99_999, 100_000, 1_000_000):
        assert problem_of(post(client, padded(size)))["type"] == "/problems/too-large"


def test_a_body_that_only_claims_to_be_large_is_refused_unread(client: FlaskClient) -> None:
    class Unreadable(BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("it was read")

    unread = {"CONTENT_LENGTH": "99999999999", "wsgi.input": Unreadable()}
    response = post(client, GOOD, environ_overrides=unread)
    assert problem_of(response)["type"] == "/problems/too-large"


@pytest.mark.parametrize("claimed", ["0", "1", "31", "40", "65536"])
def test_a_body_of_another_length_than_it_claims_never_sells_by_half(
    client: FlaskClient, claimed: str
) -> None:
    """A longer claim is a body that was cut off on its way; what is there is not what was sent."""
    response = post(client, GOOD, environ_overrides={"CONTENT_LENGTH": claimed})
    assert problem_of(response)["type"] == "/problems/malformed-request"


@pytest.mark.parametrize("claimed", ["-1", "abc", "1e3", " 32", "+32", "٣٢"])
def test_a_length_that_is_no_number_is_no_reason_to_fail(client: FlaskClient, claimed: str) -> None:
    response = post(client, GOOD, environ_overrides={"CONTENT_LENGTH": claimed})
    assert response.status_code in (200, 400)


def test_a_body_without_a_length_is_read_when_the_server_ends_it(client: FlaskClient) -> None:
    """So a server hands over what came in chunks."""
    chunked = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    for size in (len(GOOD), 65_536):
        assert post(client, padded(size), environ_overrides=chunked).status_code == 200
    for size in (65_537, 1_000_000):
        too_large = post(client, padded(size), environ_overrides=chunked)
        assert problem_of(too_large)["type"] == "/problems/too-large"


def test_no_body_at_all_is_malformed(client: FlaskClient) -> None:
    response = client.post("/buy", content_type="application/json")
    assert problem_of(response)["type"] == "/problems/malformed-request"


# --- answers --------------------------------------------------------------------------------------


def answered(outcome: Refusal | Unsettled) -> dict[str, Any]:
    """Return the problem document of an outcome, and its headers among the members."""
    with LeanFlask(__name__).test_request_context("/buy"):
        response = wire.to_problem(outcome).response()
    found: dict[str, Any] = msgspec.json.decode(response.get_data())
    return {"code": response.status_code, **found, **dict(response.headers)}


@pytest.mark.parametrize(
    ("outcome", "code", "slug", "members"),
    [
        (TooLate(), 503, "unavailable", {"Retry-After": "1"}),
        (Unsettled("disk full"), 503, "unavailable", {"Retry-After": "1"}),
        (UnknownEvent("gala"), 404, "unknown-event", {}),
        (UnknownTicketType("gala", "box"), 404, "unknown-ticket-type", {}),
        (UnknownOrder("x"), 404, "not-settled", {"Retry-After": "1"}),
        (KeyReused(), 422, "key-reused", {}),
        (
            Invalid("quantity", "too many"),
            422,
            "invalid-request",
            {"errors": [{"field": "quantity", "reason": "too many"}]},
        ),
        (
            NotOnSale("scheduled", 1_795_424_400_123),
            409,
            "not-on-sale",
            {"status": "scheduled", "opens_at": "2026-11-23T09:00:00.123Z"},
        ),
        (NotOnSale("paused", None), 409, "not-on-sale", {"status": "paused", "opens_at": None}),
        (BuyerLimit(4, 3), 403, "buyer-limit", {"max_per_buyer": 4, "bought": 3}),
        (SoldOut("box", 1, 2), 409, "sold-out", {"ticket_type": "box", "remaining": 1, "held": 2}),
        (CapacityCommitted("box", 1, 2), 409, "capacity-committed", {"committed": 2}),
    ],
    ids=short,
)
def test_each_refusal_and_fault_has_its_status_its_page_and_what_helps(
    outcome: Refusal | Unsettled, code: int, slug: str, members: dict[str, Any]
) -> None:
    found = answered(outcome)
    told = {"code": code, "type": f"/problems/{slug}", "instance": "/buy", **members}
    assert told.items() <= found.items()
    assert ("Retry-After" in found) is ("Retry-After" in members)


def test_no_outcome_is_without_an_answer() -> None:
    refusals = {*Refusal.__args__, Unsettled, Unreached}
    assert refusals == set(wire._PROBLEMS)


def test_the_log_is_for_the_operator_and_not_for_the_buyer() -> None:
    assert "secret path" not in str(answered(Unsettled("secret path: disk full")))


ORDER = Order(
    order_id(1),
    "gala",
    1,
    b"",
    "ann",
    [OrderItem("standing", 2)],
    17,
    5_000,
    "EUR",
    1_795_424_400_123,
)


def test_a_sale_is_answered_with_the_order_and_where_to_find_it() -> None:
    response = wire.answer_sold(Sold(ORDER))
    assert response.status_code == 201
    assert response.headers["Location"] == f"/orders/{order_id(1)}"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response.headers
    assert response.get_json()["tickets"][1]["number"] == 18


def test_a_replay_is_the_same_answer_and_says_that_it_is_one() -> None:
    first, again = wire.answer_sold(Sold(ORDER)), wire.answer_sold(Sold(ORDER, replayed=True))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.data) == (first.status_code, first.data)


def test_who_does_not_wait_is_told_where_and_how_long_to_ask_and_under_which_key() -> None:
    response = wire.answer_pending(order_id(1), 1_795_424_400_123, 'a"key')
    assert response.status_code == 202
    assert response.get_json() == {
        "id": order_id(1),
        "status": "pending",
        "expires_at": "2026-11-23T09:00:00.123Z",
    }
    assert response.headers["Location"] == f"/orders/{order_id(1)}"
    assert response.headers["Idempotency-Key"] == '"a\\"key"'
    assert int(response.headers["Retry-After"]) >= 1
