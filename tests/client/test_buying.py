"""The client and a real service: what a buyer and the administration get from each call."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from service.client import (
    BuyerLimit,
    CapacityCommitted,
    Client,
    Forbidden,
    InvalidRequest,
    Item,
    KeyReused,
    Money,
    NotOnSale,
    NotSettled,
    Refused,
    SoldOut,
    TicketType,
    TicketTypeStock,
    Unauthorized,
    UnknownEvent,
    UnknownTicketType,
    Unsettled,
)
from service.uuid7 import mint_key
from tests.harness import Soldout, children_of

NOBODY = "00000000-0000-7000-8000-000000000000"
STANDING = TicketType("standing", 10, Money(2500, "EUR"))
VIP = TicketType("vip", 2, Money(9900, "EUR"))


@pytest.fixture
def client(soldout: Soldout) -> Iterator[Client]:
    with Client(soldout.url, soldout.admin_key) as client:
        yield client


@pytest.fixture
def event(client: Client, request: pytest.FixtureRequest) -> str:
    """An event of the test's own, with two ticket types."""
    name = "e" + mint_key()
    client.put_event(name, name="The gala", ticket_types=[STANDING, VIP])
    return name


def test_a_purchase_becomes_an_order_that_can_be_read_again(client: Client, event: str) -> None:
    order = client.buy(event, 2, ticket_type="standing", buyer="ann")
    assert order.event == event
    assert order.status == "sold"
    assert order.buyer == "ann"
    assert order.items == (Item(2, "standing"),)
    assert [ticket.number for ticket in order.tickets] == [1, 2]
    assert len({ticket.code for ticket in order.tickets}) == 2
    assert order.total == Money(5000, "EUR")
    assert abs(datetime.now(UTC) - order.sold_at) < timedelta(minutes=5)
    assert client.order(order.id) == order


def test_an_order_of_several_types_is_all_or_nothing(client: Client, event: str) -> None:
    order = client.buy(event, items=[Item(3, "standing"), Item(2, "vip")])
    assert [ticket.ticket_type for ticket in order.tickets] == ["standing"] * 3 + ["vip"] * 2
    with pytest.raises(SoldOut):
        client.buy(event, items=[Item(1, "standing"), Item(1, "vip")])
    assert client.remaining(event).ticket_types == (
        TicketTypeStock("standing", 10, 3, 0, 7),
        TicketTypeStock("vip", 2, 2, 0, 0),
    )


def test_the_same_key_gives_the_same_order_once(client: Client, event: str) -> None:
    key = mint_key()
    order = client.buy(event, 2, ticket_type="standing", key=key)
    assert client.buy(event, 2, ticket_type="standing", key=key) == order
    assert client.find_order(key) == order
    assert client.remaining(event).sold == 2


@pytest.mark.parametrize("form", ['{}with"quotes"and\\backslashes\\', '"{}"', "'{}'"])
def test_a_key_may_hold_any_visible_character(client: Client, event: str, form: str) -> None:
    key = form.format(event)
    order = client.buy(event, ticket_type="vip", key=key)
    assert client.buy(event, ticket_type="vip", key=key) == order
    assert client.find_order(key) == order
    with pytest.raises(NotSettled):
        client.find_order(event)


def test_a_key_is_the_same_key_where_others_send_it_bare(
    client: Client, soldout: Soldout, event: str
) -> None:
    key = f'{event}"with-quotes"'
    bare = soldout.buy(event, 1, key, ticket_type="vip")
    assert client.buy(event, 1, ticket_type="vip", key=key).id == bare.json()["id"]


def test_a_purchase_handed_over_is_known_by_its_key_and_id(soldout: Soldout, event: str) -> None:
    """Not waiting for the result: who has no patience is told how to learn it."""
    with (
        Client(soldout.url, patience_seconds=0) as hasty,
        pytest.raises(Unsettled) as unknown,
    ):
        hasty.buy(event, ticket_type="standing", wait_seconds=0)
    assert unknown.value.pending is not None
    with Client(soldout.url) as patient:
        order = patient.buy(event, ticket_type="standing", key=unknown.value.key)
    assert order.id == unknown.value.pending.id
    assert [ticket.number for ticket in order.tickets] == [1]


def test_a_purchase_handed_over_is_followed_to_its_end(client: Client, event: str) -> None:
    assert client.buy(event, 2, ticket_type="vip", wait_seconds=0).status == "sold"
    with pytest.raises(SoldOut):
        client.buy(event, 2, ticket_type="vip", wait_seconds=0)


def test_each_refusal_is_an_error_of_its_own(client: Client, event: str) -> None:
    key = mint_key()
    client.buy(event, 2, ticket_type="vip", key=key)
    with pytest.raises(SoldOut) as sold_out:
        client.buy(event, ticket_type="vip")
    assert (sold_out.value.remaining, sold_out.value.held) == (0, 0)
    with pytest.raises(KeyReused):
        client.buy(event, 1, ticket_type="vip", key=key)
    with pytest.raises(UnknownTicketType):
        client.buy(event, ticket_type="seated")
    with pytest.raises(UnknownEvent):
        client.buy("nowhere")
    with pytest.raises(InvalidRequest) as invalid:
        client.buy(event, 0, ticket_type="vip")
    assert invalid.value.errors[0]["field"] == "quantity"
    assert invalid.value.problem["type"] == "/problems/invalid-request"


def test_a_buyer_over_the_limit_is_told_so(client: Client, event: str) -> None:
    client.put_event(event, ticket_types=[STANDING, VIP], max_per_buyer=3)
    client.buy(event, 3, ticket_type="standing", buyer="ann")
    with pytest.raises(BuyerLimit):
        client.buy(event, ticket_type="standing", buyer="ann")


def test_an_event_that_is_not_on_sale_says_why_and_when(client: Client, event: str) -> None:
    opens_at = datetime.now(UTC).replace(microsecond=125_000) + timedelta(days=1)
    client.put_event(event, ticket_types=[VIP], opens_at=opens_at)
    with pytest.raises(NotOnSale) as early:
        client.buy(event)
    assert (early.value.event_status, early.value.opens_at) == ("scheduled", opens_at)

    client.put_event(event, ticket_types=[VIP])
    for switch, status in ((client.pause_event, "paused"), (client.close_event, "closed")):
        assert switch(event).status == status
        with pytest.raises(NotOnSale) as shut:
            client.buy(event)
        assert (shut.value.event_status, shut.value.opens_at) == (status, None)
    assert client.resume_event(event).status == "on_sale"
    client.buy(event)


def test_an_event_is_what_was_put(client: Client, event: str) -> None:
    opens_at = datetime(2026, 1, 1, 9, 0, 0, 125_000, UTC)
    closes_at = opens_at + timedelta(days=36_500)
    put = client.put_event(
        event,
        name="The ball",
        ticket_types=[STANDING],
        opens_at=opens_at,
        closes_at=closes_at,
        max_per_order=4,
        max_per_buyer=6,
    )
    assert put.ticket_types == (STANDING,)
    assert (put.name, put.status) == ("The ball", "on_sale")
    assert (put.opens_at, put.closes_at) == (opens_at, closes_at)
    assert (put.max_per_order, put.max_per_buyer) == (4, 6)
    assert client.event(event) == put
    assert put in client.events()


def test_a_capacity_alone_is_one_ticket_type(client: Client, event: str) -> None:
    name = "c" + event
    put = client.put_event(name, capacity=5)
    assert [(t.id, t.capacity) for t in put.ticket_types] == [("general", 5)]
    assert client.buy(name, 5).items == (Item(5, "general"),)
    assert client.remaining(name).status == "sold_out"
    with pytest.raises(CapacityCommitted):
        client.put_event(name, capacity=4)


def test_a_cancelled_orders_tickets_can_be_sold_again(client: Client, event: str) -> None:
    order = client.buy(event, 2, ticket_type="vip")
    cancelled = client.cancel_order(order.id)
    assert (cancelled.id, cancelled.status) == (order.id, "cancelled")
    assert client.cancel_order(order.id) == cancelled
    assert client.remaining(event).sold == 0
    client.buy(event, 2, ticket_type="vip")


def test_the_stock_of_all_events_is_seen_at_once(client: Client, event: str) -> None:
    client.buy(event, ticket_type="vip")
    everything = client.remaining()
    (ours,) = (stock for stock in everything.events if stock.event == event)
    assert (ours.status, ours.capacity, ours.sold, ours.remaining) == ("on_sale", 12, 1, 11)
    assert abs(datetime.now(UTC) - everything.as_of) < timedelta(minutes=5)
    with pytest.raises(UnknownEvent):
        client.remaining("nowhere")


def test_orders_come_in_the_order_of_sale_over_all_pages(client: Client, event: str) -> None:
    bought = [client.buy(event, ticket_type="standing") for _ in range(7)]
    assert list(client.orders(event, page_size=3)) == bought
    assert list(client.orders(event)) == bought
    lines = b"".join(client.orders_csv(event)).decode().splitlines()
    assert [row["number"] for row in csv.DictReader(lines)] == [str(n) for n in range(1, 8)]


def test_an_audit_counts_what_was_sold(client: Client, event: str) -> None:
    client.cancel_order(client.buy(event, 2, ticket_type="vip").id)
    client.buy(event, 3, ticket_type="standing")
    audit = client.audit(event)
    assert audit.consistent
    assert (audit.capacity, audit.sold, audit.held, audit.remaining) == (12, 3, 0, 9)
    assert audit.findings == ()
    with pytest.raises(UnknownEvent):
        client.audit("nowhere")


def test_workers_are_the_processes_of_the_pool(client: Client, soldout: Soldout) -> None:
    workers = client.workers()
    assert {worker.pid for worker in workers} <= set(children_of(soldout.pid))
    assert len(workers) == 2


def test_an_order_that_nobody_bought_is_not_there(client: Client) -> None:
    with pytest.raises(NotSettled):
        client.order(NOBODY)
    with pytest.raises(NotSettled):
        client.find_order(mint_key())
    with pytest.raises(NotSettled):
        client.cancel_order(NOBODY)


def test_the_administration_is_closed_to_others(soldout: Soldout, event: str) -> None:
    for admin_key, error in ((None, Unauthorized), ("not-the-key-of-this-service", Forbidden)):
        with Client(soldout.url, admin_key) as stranger:
            for ask in (stranger.audit, stranger.close_event, lambda e: list(stranger.orders(e))):
                with pytest.raises(Refused) as refusal:
                    ask(event)
                assert type(refusal.value) is error
