"""Each invariant holds for a run that went right, and finds the one thing that is spoiled in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec.structs import replace as but

from loadtest.evidence import Books, Evidence
from loadtest.judgement import State, judge
from loadtest.stories import Answer, Count, Item, Look, Money, Order, Purchase, Ticket
from tests.loadtest.samples import (
    GROUP,
    SINGLE,
    at,
    good_run,
    look,
    peer_run,
    purchase,
    refused,
    replayed,
    sold,
)

Spoil = Callable[[Evidence], Evidence]
UNAVAILABLE = Answer(status=503, problem="unavailable")


def broken(evidence: Evidence) -> dict[str, list[str]]:
    return {v.name: v.breaches for v in judge(evidence) if v.state is State.BREACH}


def with_purchase(*more: Purchase) -> Spoil:
    """One purchase more that clients tell of; the books do not know it."""

    def spoil(run: Evidence) -> Evidence:
        run.record.purchases.extend(more)
        return run

    return spoil


def with_order(buyer: str, **changes: object) -> Spoil:
    """Somebody told of an order like ann's, but for some changes."""
    order = but(SINGLE, id="order-9", buyer=buyer, **changes)
    return with_purchase(purchase(buyer, {"standing": 1}, sold(order)))


def with_look(spoiled: Look) -> Spoil:
    def spoil(run: Evidence) -> Evidence:
        run.record.looks.append(spoiled)
        return run

    return spoil


def with_standing(standing: Count) -> Spoil:
    """Somebody saw these numbers of the standing tickets."""
    nothing_sold = look(0, 0)
    counts = (standing, nothing_sold.ticket_types[1])
    return with_look(but(nothing_sold, ticket_types=counts))


def with_final(final: Look) -> Spoil:
    return lambda run: replace(run, final=final)


def with_answer(buyer: str, answer: Answer) -> Spoil:
    """One answer more to a purchase."""

    def spoil(run: Evidence) -> Evidence:
        (told,) = [p for p in run.record.purchases if p.key == f"key-{buyer}"]
        told.answers.append(answer)
        return run

    return spoil


def with_books(change: Callable[[Books], Books]) -> Spoil:
    def spoil(run: Evidence) -> Evidence:
        assert run.books is not None
        return replace(run, books=change(run.books))

    return spoil


def booked(*orders: Order) -> Spoil:
    return with_books(lambda books: but(books, orders=list(orders)))


def audited(**changes: object) -> Spoil:
    return with_books(lambda books: but(books, audit=but(books.audit, **changes)))


def test_a_run_that_went_right_keeps_every_invariant_and_each_checked_something() -> None:
    verdicts = judge(good_run())
    assert [(v.name, v.breaches) for v in verdicts if v.state is not State.OK] == []
    assert all(verdict.checked > 0 for verdict in verdicts)


@pytest.mark.parametrize(
    ("spoil", "invariant", "breach"),
    [
        (
            lambda run: replace(run, processes=2, processes_heard=1),
            "every client was heard",
            "1 of 2 processes did not tell their stories",
        ),
        (
            lambda run: replace(run, crashes=["KeyError: 'x'"]),
            "every client was heard",
            "KeyError: 'x'",
        ),
        (
            with_answer("eve", Answer(status=500, fault="unexpected answer 500")),
            "every answer is one the contract allows",
            "unexpected answer 500 (1 times)",
        ),
        (
            with_look(Look(fault="GET /remaining answered 500")),
            "every answer is one the contract allows",
            "GET /remaining answered 500 (1 times)",
        ),
        (
            with_order("joe", tickets=(Ticket(5, "standing"),)),
            "nothing is oversold",
            "standing: 4 tickets told to buyers, capacity 3",
        ),
        (
            booked(SINGLE, GROUP, but(SINGLE, id="order-3", tickets=(Ticket(5, "standing"),))),
            "nothing is oversold",
            "standing: 4 tickets in the books, capacity 3",
        ),
        (
            with_order("joe"),
            "no ticket number is sold twice",
            "ticket 1 told to buyers 2 times: orders order-1, order-9",
        ),
        (
            booked(SINGLE, but(GROUP, tickets=(Ticket(1, "standing"), *GROUP.tickets[1:]))),
            "no ticket number is sold twice",
            "ticket 1 in the books 2 times: orders order-1, order-2",
        ),
        (
            with_order("joe", items=(Item("standing", 2),)),
            "every order is what was asked for",
            "order order-9 for {'standing': 1} is for {'standing': 2}",
        ),
        (
            with_order("joe", tickets=(Ticket(8, "standing"), Ticket(9, "vip"))),
            "every order is what was asked for",
            "order order-9 for {'standing': 1} has the tickets {'standing': 1, 'vip': 1}",
        ),
        (
            with_purchase(purchase("joe", {"standing": 1}, sold(but(SINGLE, id="order-9")))),
            "every order is what was asked for",
            "order order-9 for {'standing': 1} is for the buyer ann",
        ),
        (
            with_order("joe", event="gala"),
            "every order is what was asked for",
            "order order-9 for {'standing': 1} is for the event gala",
        ),
        (
            with_order("joe", status="cancelled"),
            "every order is what was asked for",
            "order order-9 for {'standing': 1} is cancelled",
        ),
        (
            with_order("joe", total=Money(1, "EUR")),
            "every order is what was asked for",
            "order order-9 for {'standing': 1} costs 1, not 2500",
        ),
        (
            with_look(but(look(1, 0), held=1)),
            "sold + held + remaining = capacity, always",
            "at 1970-01-01T00:17:00Z all: sold, held, remaining are (1, 1, 3) of 4",
        ),
        (
            with_standing(Count("standing", 3, 4, 0, -1)),
            "sold + held + remaining = capacity, always",
            "at 1970-01-01T00:17:00Z standing: sold, held, remaining are (4, 0, -1) of 3",
        ),
        (
            with_standing(Count("standing", 9, 0, 0, 9)),
            "sold + held + remaining = capacity, always",
            "at 1970-01-01T00:17:00Z the capacities are {'standing': 9, 'vip': 1}, not",
        ),
        (
            with_look(but(look(1, 0), sold=2, remaining=2)),
            "sold + held + remaining = capacity, always",
            "at 1970-01-01T00:17:00Z 2 are sold, but not when the ticket types are added up",
        ),
        (
            with_final(look(2, 1)),
            "what counts as sold was confirmed",
            "standing: 2 sold, 3 confirmed",
        ),
        (
            with_final(look(2, 1)),
            "nobody was refused a ticket that was left",
            "{'standing': 1} was sold out, yet {'standing': 1, 'vip': 0} are left",
        ),
        (
            with_purchase(purchase("joe", {"vip": 1}, refused(), UNAVAILABLE)),
            "every purchase has an outcome",
            "purchase key-joe: ['sold-out', 'unavailable']",
        ),
        (
            with_answer("ann", replayed(but(SINGLE, id="order-9"))),
            "a purchase sent again is sold once",
            "purchase key-ann got different answers, orders ['order-1', 'order-9']",
        ),
        (
            with_answer("ann", sold(SINGLE)),
            "a purchase sent again is sold once",
            "purchase key-ann was sold 2 times, instead of sold once and replayed",
        ),
        (
            with_answer("ann", refused(after_sale=True)),
            "a purchase sent again is sold once",
            "purchase key-ann was refused after it was sold: ['sold', 'replayed', 'sold-out']",
        ),
        (
            with_answer("bob", Answer(status=202, pending_id="order-3")),
            "a purchase sent again is sold once",
            "purchase key-bob was promised as ['order-3'], and sold as ['order-2']",
        ),
        (
            booked(SINGLE),
            "no confirmed order is missing",
            "order order-2 is not there",
        ),
        (
            booked(SINGLE, GROUP, but(SINGLE, id="order-3")),
            "no order that nobody asked for",
            "order order-3 is known to no client",
        ),
        (
            booked(SINGLE, GROUP, GROUP),
            "no order that nobody asked for",
            "order order-2 stands there 2 times",
        ),
        (
            with_books(lambda books: but(books, by_id={"order-1": None})),
            "an order reads as it was told",
            "order order-1 is not there",
        ),
        (
            booked(but(SINGLE, sold_at="1970-01-01T00:16:39.999Z"), GROUP),
            "nothing is sold before the opening",
            "order order-1 was sold at 1970-01-01T00:16:39.999Z",
        ),
        (
            booked(but(SINGLE, sold_at=None), GROUP),
            "nothing is sold before the opening",
            "order order-1 was sold at None",
        ),
        (
            audited(consistent=False),
            "the audit is consistent and agrees",
            "the journal is not consistent",
        ),
        (audited(findings=["ticket 3"]), "the audit is consistent and agrees", "finding: ticket 3"),
        (
            booked(GROUP, SINGLE),
            "sales are in an order that time allows",
            "sale 2, of order order-1, was confirmed at 2.000000, and one ahead of it asked for",
        ),
        (
            with_purchase(purchase("joe", {"standing": 1}, at(1, 2, refused()))),
            "every refusal was true when it was said",
            "purchase key-joe, asked 1.000000 to 2.000000, was told SoldOut(ticket_type='standing'",
        ),
        (
            with_purchase(purchase("joe", {"standing": 1}, at(7, 8, but(refused(), remaining=1)))),
            "every refusal was true when it was said",
            "purchase key-joe, asked 7.000000 to 8.000000, was refused 1, though told",
        ),
        (
            with_answer("ann", at(4, 5, refused("not-on-sale"))),
            "every refusal was true when it was said",
            "purchase key-ann, asked 4.000000 to 5.000000, was told Refused",
        ),
        (
            with_look(look(0, 0, 2.3)),
            "every look was true, and fresh",
            "a look 2.300000 to 2.400000 showed {'standing': (0, 0, 3), 'vip': (0, 0, 1)}: it was",
        ),
        (
            with_look(look(2, 0, 2.3)),
            "every look was true, and fresh",
            "a look 2.300000 to 2.400000 showed {'standing': (2, 0, 1), 'vip': (0, 0, 1)}: it was",
        ),
        (
            lambda run: with_look(look(3, 1, 3))(with_look(look(1, 0, 3.5))(run)),
            "refusals and looks tell one story",
            "a look 3.000000 to 3.100000 showed {'standing': (3, 0, 0), 'vip': (1, 0, 0)}: seen",
        ),
        (audited(sold=3), "the audit is consistent and agrees", "sold: 3, not 4"),
        (audited(orders=3), "the audit is consistent and agrees", "orders: 3, not 2"),
        (audited(tickets=5), "the audit is consistent and agrees", "tickets: 5, not 4"),
    ],
)
def test_a_planted_breach_is_found_and_named(spoil: Spoil, invariant: str, breach: str) -> None:
    breaches = broken(spoil(good_run()))[invariant]
    assert any(found.startswith(breach) for found in breaches), breaches


def test_an_order_that_reads_differently_is_shown_both_ways() -> None:
    run = with_books(lambda books: but(books, by_id={"order-1": but(SINGLE, buyer="eve")}))(
        good_run()
    )
    (breach,) = broken(run)["an order reads as it was told"]
    assert "was told as" in breach
    assert "buyer='eve'" in breach


def test_a_purchase_killed_before_it_was_sent_asks_for_nothing() -> None:
    assert broken(with_purchase(purchase("joe", {"vip": 1}))(good_run())) == {}


def test_a_peer_may_have_sold_what_a_client_is_in_doubt_about_but_no_more() -> None:
    assert broken(peer_run()) == {}
    counts = (Count("general", 3, 1, 0, 2),)
    forgetful = replace(peer_run(), final=Look(3, 1, 0, 2, counts))
    assert broken(forgetful)["what counts as sold was confirmed"] == [
        "general: 1 sold, 2 confirmed"
    ]
