"""Each way in which a history cannot be one counter's is found, and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from loadtest.history.checks import CHECKS, breaches, check
from loadtest.history.operations import (
    NEVER,
    Ask,
    Booked,
    Cancel,
    History,
    Look,
    Refused,
    Sold,
    SoldOut,
    Stock,
)
from loadtest.history.search import is_possible

ONE, TWO = (("general", 1),), (("general", 2),)
ANN, BOB, CLEO = (
    Sold("order-ann", ONE, (1,)),
    Sold("order-bob", TWO, (2, 3)),
    Sold("cleo", ONE, (4,)),
)


def stock(sold: int) -> tuple[Stock, ...]:
    return (Stock("general", sold, 0, 3 - sold),)


def good() -> History:
    """Three tickets: ann and bob buy them, eve is late, ann gives hers back, and cleo gets it."""
    return History(
        {"general": 3},
        asks=[
            Ask("ann", ONE, 1, 2, ANN, fresh=True, line=1),
            Ask("bob", TWO, 1.5),  # nobody heard
            Ask("bob", TWO, 3, 4, BOB),
            Ask("eve", ONE, 5, 6, SoldOut("general", 0), line=2),
            Ask("cleo", ONE, 9.5, 12, CLEO, fresh=True),
            Ask("dan", ONE, 0, 1, Refused("not-on-sale")),
        ],
        cancels=[Cancel("order-ann", 8, 9, done=True, line=1)],
        looks=[Look(2.5, 2.6, stock(1), line=1), Look(5, 5.1, stock(3)), Look(13, 13.1, stock(3))],
        ledger=[Booked(ANN, cancelled=True), Booked(BOB), Booked(CLEO)],
    )


def asked(*more: Ask) -> Callable[[History], None]:
    return lambda history: history.asks.extend(more)


def looked(*more: Look) -> Callable[[History], None]:
    return lambda history: history.looks.extend(more)


def booked(*ledger: Booked) -> Callable[[History], None]:
    return lambda history: setattr(history, "ledger", list(ledger))


def cancelled_unheard(history: History) -> None:
    """What is cancelled was sold by then, though nobody was told of it: not behind cleo's order."""
    history.cancels.append(Cancel("order-bob", 2, 2.5, done=True))
    history.ledger = [Booked(ANN, cancelled=True), Booked(CLEO), Booked(BOB, cancelled=True)]


def old_look_on_a_line_that_told_of_an_order_since(history: History) -> None:
    history.asks.append(Ask("ann", ONE, 4.1, 4.15, ANN, line=1))
    history.looks.append(Look(4.2, 4.3, stock(1), line=1))


def test_a_history_that_went_right_is_possible_and_all_was_checked() -> None:
    found = check(good())
    assert [(name, wrong) for name, (_, wrong) in found.items() if wrong] == []
    assert all(checked for checked, _ in found.values())
    assert is_possible(good())


@pytest.mark.parametrize(
    ("spoil", "name", "breach"),
    [
        (
            booked(Booked(BOB), Booked(CLEO)),
            "nothing that was told is missing",
            "purchase ann, asked 1.000000 to 2.000000, was told Sold(order='order-ann'",
        ),
        (
            booked(Booked(ANN), Booked(BOB), Booked(CLEO)),
            "nothing that was told is missing",
            "order order-ann was cancelled, the ledger has Booked",
        ),
        (
            booked(Booked(ANN, cancelled=True), Booked(replace(BOB, digest=1)), Booked(CLEO)),
            "nothing that was told is missing",
            "purchase bob",
        ),
        (
            lambda h: h.ledger.append(Booked(Sold("of-nobody", ONE))),
            "nothing is there that nobody asked for",
            "nobody asked for the order of-nobody",
        ),
        (
            lambda h: h.ledger.append(Booked(Sold("of-dan", ONE), key="dan")),
            "nothing is there that nobody asked for",
            "nobody asked for the order of-dan",
        ),
        (
            booked(Booked(ANN, cancelled=True), Booked(BOB, cancelled=True), Booked(CLEO)),
            "nothing is there that nobody asked for",
            "nobody cancelled the order order-bob",
        ),
        (
            asked(Ask("bob", ONE, 3, 4, BOB)),
            "nothing is sold twice",
            "purchase bob was for different tickets",
        ),
        (
            asked(Ask("ann", ONE, 3, 4, Sold("another", ONE, (9,)))),
            "nothing is sold twice",
            "purchase ann was told different things",
        ),
        (
            asked(Ask("ann", ONE, 3, 4, ANN, fresh=True)),
            "nothing is sold twice",
            "purchase ann was sold 2 times",
        ),
        (
            lambda h: h.ledger.append(Booked(Sold("order-9", TWO, (8, 9)), key="bob")),
            "nothing is sold twice",
            "purchase bob has 2 orders in the ledger",
        ),
        (
            lambda h: h.ledger.append(h.ledger[1]),
            "nothing is sold twice",
            "order order-bob stands there 2 times",
        ),
        (
            lambda h: h.ledger.append(Booked(Sold("order-9", ONE, (3,)))),
            "nothing is sold twice",
            "ticket 3 is in the orders ['order-9', 'order-bob']",
        ),
        (
            lambda h: h.capacity.update(general=2),
            "the stock is never negative",
            "3 of 2 general are sold with the order order-bob",
        ),
        (
            lambda h: h.asks.__setitem__(
                4, Ask("cleo", ONE, 7, 7.5, CLEO)
            ),  # before ann's was back
            "the stock is never negative",
            "4 of 3 general are sold with the order cleo",
        ),
        (
            booked(Booked(CLEO), Booked(ANN, cancelled=True), Booked(BOB)),
            "sales are in an order that time allows",
            "sale 2, of order order-ann, was confirmed at 2.000000, and one ahead of it asked for",
        ),
        (
            cancelled_unheard,
            "sales are in an order that time allows",
            "sale 3, of order order-bob, was confirmed at 2.500000",
        ),
        (
            asked(Ask("eve", ONE, 0, 0.5, SoldOut("general", 0))),
            "every refusal was true when it was said",
            "purchase eve, asked 0.000000 to 0.500000, was told SoldOut",
        ),
        (
            asked(Ask("eve", TWO, 5, 6, SoldOut("general", 2))),
            "every refusal was true when it was said",
            "purchase eve, asked 5.000000 to 6.000000, was refused 2, though told",
        ),
        (
            asked(Ask("bob", TWO, 5, 6, SoldOut("general", 0))),
            "every refusal was true when it was said",
            "purchase bob, asked 5.000000 to 6.000000, was told SoldOut",
        ),
        (
            looked(Look(2.3, 2.4, stock(0))),
            "every look was true, and fresh",
            "a look 2.300000 to 2.400000 showed {'general': (0, 0, 3)}: it was never so then",
        ),
        (
            looked(Look(2.1, 2.2, stock(0), line=1)),  # not too old, but this line had told of one
            "every look was true, and fresh",
            "a look 2.100000 to 2.200000 showed {'general': (0, 0, 3)}: it was never so then",
        ),
        (
            old_look_on_a_line_that_told_of_an_order_since,
            "every look was true, and fresh",
            "a look 4.200000 to 4.300000 showed {'general': (1, 0, 2)}: it was never so then",
        ),
        (
            looked(Look(9.1, 9.2, stock(3), line=1)),  # nor had this one told of the cancel before
            "every look was true, and fresh",
            "a look 9.100000 to 9.200000 showed {'general': (3, 0, 0)}: it was never so then",
        ),
        (
            looked(Look(5, 5.1, (Stock("general", 3, 0, 1),))),
            "every look was true, and fresh",
            "a look 5.000000 to 5.100000 showed {'general': (3, 0, 1)}: that is not the capacity",
        ),
        (
            looked(Look(2.7, 2.8, stock(3)), Look(3.2, 3.3, stock(1))),
            "refusals and looks tell one story",
            "a look 2.700000 to 2.800000 showed {'general': (3, 0, 0)}: seen before a look 3.2",
        ),
    ],
)
def test_a_planted_breach_is_found_and_named(
    spoil: Callable[[History], None], name: str, breach: str
) -> None:
    history = good()
    spoil(history)
    found = breaches(history).get(name, [])
    assert any(wrong.startswith(breach) for wrong in found), breaches(history)


def test_a_look_may_be_as_old_as_promised_on_a_connection_that_told_nothing() -> None:
    history = good()
    history.looks.append(Look(2.1, 2.2, stock(0), line=3))
    assert breaches(history) == {}
    assert is_possible(history)


def test_what_nobody_heard_of_may_have_sold_or_not() -> None:
    history = good()
    history.asks.append(Ask("fay", ONE, 0, NEVER))
    assert breaches(history) == {}
    history.ledger.append(Booked(Sold("fays", ONE, (5,)), cancelled=True, key="fay"))
    history.cancels.append(Cancel("fays", 14))
    history.cancels.append(Cancel("cleo", 14))
    history.ledger[2].cancelled = True
    assert breaches(history) == {}
    assert is_possible(history)


def test_a_hundred_thousand_sales_are_checked_one_by_one() -> None:
    """In a time that grows with them: each of these among all others would take an hour."""
    orders = [Sold(f"order-{n}", ONE, (n,)) for n in range(100_000)]
    history = History(
        {"general": len(orders)},
        asks=[Ask(f"key-{n}", ONE, n, n + 64, sold, fresh=True) for n, sold in enumerate(orders)],
        looks=[
            Look(n, n + 9, (Stock("general", n, 0, len(orders) - n),))
            for n in range(0, len(orders), 100)
        ],
        ledger=[Booked(sold) for sold in orders],
    )
    found = check(history)
    assert {name: wrong[:1] for name, (_, wrong) in found.items() if wrong} == {}
    assert found["every look was true, and fresh"][0] == 1_000
    history.looks[500].asked_at += 100
    history.looks[500].heard_at += 100
    assert list(breaches(history)) == ["every look was true, and fresh"]


def test_every_check_is_planted_a_breach_here() -> None:
    marks = test_a_planted_breach_is_found_and_named.pytestmark  # type: ignore[attr-defined]
    assert {name for _, name, _ in marks[0].args[1]} == set(CHECKS)
