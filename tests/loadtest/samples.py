"""A small run in which everything went right, for tests that spoil one thing in it."""

from __future__ import annotations

import math
from dataclasses import replace

from msgspec import structs

from loadtest.evidence import Audit, Books, Evidence
from loadtest.figures import Run, run_of
from loadtest.judgement import judge
from loadtest.stories import (
    Answer,
    Count,
    Item,
    Look,
    Money,
    Order,
    Purchase,
    Record,
    Sale,
    Ticket,
    TicketTypeOnSale,
)

SALE = Sale(
    event="rush",
    ticket_types=(
        TicketTypeOnSale("standing", 3, Money(2500, "EUR")),
        TicketTypeOnSale("vip", 1, Money(9000, "EUR")),
    ),
    administered=True,
    seed=7,
    opens_at_seconds=1_000.0,
)
PEER_SALE = Sale("gala", (TicketTypeOnSale("general", 3),), administered=False, seed=7)

SINGLE = Order(
    id="order-1",
    event="rush",
    buyer="ann",
    items=(Item("standing", 1),),
    tickets=(Ticket(1, "standing", "code-1"),),
    total=Money(2500, "EUR"),
    sold_at="1970-01-01T00:16:40.000Z",  # the moment of the opening
)
GROUP = Order(
    id="order-2",
    event="rush",
    buyer="bob",
    items=(Item("standing", 2), Item("vip", 1)),
    tickets=(Ticket(2, "standing"), Ticket(3, "standing"), Ticket(4, "vip")),
    total=Money(14_000, "EUR"),
    sold_at="1970-01-01T00:16:41.500Z",
)


def sold(order: Order) -> Answer:
    """The first answer to a purchase that is sold."""
    return Answer(status=201, order=order)


def replayed(order: Order) -> Answer:
    """The answer to one who asks again."""
    return Answer(status=201, order=order, replayed=True, after_sale=True)


def refused(problem: str = "sold-out", after_sale: bool = False) -> Answer:
    """A certain no; nothing was left of the standing tickets."""
    kind = "standing" if problem == "sold-out" else ""
    return Answer(status=409, problem=problem, after_sale=after_sale, ticket_type=kind)


def at(asked_at: float, heard_at: float, answer: Answer) -> Answer:
    """The same, asked and heard at these moments."""
    answer.asked_at, answer.heard_at = asked_at, heard_at
    return answer


def purchase(buyer: str, wanted: dict[str, int], *answers: Answer) -> Purchase:
    """A purchase under a key of the buyer's name."""
    return Purchase(f"key-{buyer}", {"event": "rush", "buyer": buyer}, wanted, list(answers))


def look(standing_sold: int, vip_sold: int, asked_at: float = -math.inf) -> Look:
    """What `/remaining` shows when so many are sold; heard a tenth of a second later."""
    standing = Count("standing", 3, standing_sold, 0, 3 - standing_sold)
    vip = Count("vip", 1, vip_sold, 0, 1 - vip_sold)
    total = standing_sold + vip_sold
    as_of, heard_at = "1970-01-01T00:17:00Z", asked_at + 0.1
    if heard_at == asked_at:
        heard_at = math.inf
    return Look(
        *(4, total, 0, 4 - total, (standing, vip), as_of), asked_at=asked_at, heard_at=heard_at
    )


def good_run() -> Evidence:
    """Three buyers: one who insists, a group that finds out later, and one who comes too late."""
    unheard = Answer(asked_at=2.5)
    pending = at(3, 4, Answer(status=202, pending_id="order-2", retry_after_seconds=1))
    return Evidence(
        sale=SALE,
        record=Record(
            purchases=[
                purchase(
                    "ann", {"standing": 1}, at(1, 2, sold(SINGLE)), at(3, 4, replayed(SINGLE))
                ),
                purchase(
                    "bob", {"standing": 2, "vip": 1}, unheard, pending, at(5, 6, replayed(GROUP))
                ),
                purchase(
                    "eve", {"standing": 1}, at(0, 1, refused("not-on-sale")), at(7, 8, refused())
                ),
            ],
            looks=[look(0, 0, 0.5), look(1, 0, 2), look(3, 1, 6)],
        ),
        final=look(3, 1, 9),
        books=Books(
            orders=[SINGLE, GROUP],
            by_id={"order-1": SINGLE},
            audit=Audit(True, 3, capacity=4, sold=4, held=0, remaining=0, orders=2, tickets=4),
        ),
    )


def peer_run() -> Evidence:
    """The same with a peer, which knows neither keys nor books; one answer was lost."""
    order = Order(
        "order-1", "gala", (Item("general", 2),), (Ticket(1, "general"), Ticket(2, "general"))
    )
    buyer: dict[str, object] = {"event": "gala", "quantity": 2, "buyer": None}
    counts = (Count("general", 3, 3, 0, 0),)
    return Evidence(
        sale=PEER_SALE,
        record=Record(
            purchases=[
                Purchase("key-1", buyer, {"general": 2}, [sold(order)]),
                Purchase("key-2", buyer, {"general": 1}, [Answer()]),
                Purchase("key-3", buyer, {"general": 1}, [refused()]),
            ],
            looks=[Look(3, 3, 0, 0, counts)],
        ),
        final=Look(3, 3, 0, 0, counts),
    )


def run(server: str = "soldout", **changed: object) -> Run:
    """The numbers of the good run."""
    evidence = replace(good_run(), began_at=0.0, ended_at=10.0)
    found = run_of(evidence, judge(evidence), server=server, users=3, seconds=10.0)
    return structs.replace(found, **changed)


def oversold() -> Run:
    """The same, as if three more tickets had been sold without a lock."""
    real = [(0.0, 4), (5.0, -3)]
    return run("no_lock", passed=False, oversold=3, sold_twice=2, uncounted=3, real=real)
